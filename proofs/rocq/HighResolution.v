(** Claim 22: a high-resolution convolution between shufflings is a low-resolution convolution. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers.
Open Scope Z_scope.

(** The weight from input phase b to output phase a at the low-resolution tap u is the tap r (u - pl) + b - a + pb of
    the high-resolution kernel: it depends only on r u + b - a. *)
Definition hr_slot (k d r pb pl a b u : Z) : option Z := tap k d (r * (u - pl) + b - a + pb).

Definition hr_taps (k d r pb : Z) := ceil (ke k d - 1 - pb) r + ceil pb r + 1.

Section HighResolution.
  Context {M : cmonoid}.

  (** Input phase b of the low-resolution signal holds the samples r i + b.  Borders included: x~ is zero outside
      0 <= r i + b < r n exactly where it is zero outside 0 <= i < n. *)
  Theorem hr_convolution_is_lr : forall k d r pb n (f : Z -> Z -> M) o, 0 < r -> 0 < d ->
    let pl := ceil pb r in
    conv k 1 d pb (r * n) f o =
    shuffled r (fun a q => sum r (fun b =>
      conv (hr_taps k d r pb) 1 1 pl n (reshuffled (hr_slot k d r pb pl a b) (fun j i => f j (r * i + b))) q)) o.
  Proof.
    intros k d r pb n f o Hr Hd pl. unfold shuffled.
    pose proof (ceil_spec pb r Hr) as C1. pose proof (ceil_spec (ke k d - 1 - pb) r Hr) as C2.
    unfold hr_taps. fold pl in C1 |- *. set (pr := ceil (ke k d - 1 - pb) r) in *. clearbody pl pr.
    unfold ke in C2. name_div o r. set (q := o / r) in *. set (a := o mod r) in *. clearbody q a.
    unfold conv at 1.
    (* Both sides become a sum over (j, b, i, u) of indicators of the same points. *)
    transitivity (sum k (fun j => sum r (fun b => sum n (fun i =>
      if r * i + b =? 1 * o + d * j - pb then f j (r * i + b) else zero)))).
    - apply sum_ext. intros j Hj. set (p := 1 * o + d * j - pb). name_div p r.
      rewrite (sum_single M r _ (p mod r) ltac:(assumption)).
      2:{ intros b Hb Hne. apply sum_zero. intros i Hi.
          destruct (Z.eqb_spec (r * i + b) p); [|reflexivity].
          exfalso. apply Hne. apply (quotient_remainder r i b p); assumption. }
      rewrite (sum_ext M n _ (fun i => if i =? p / r then f j (r * i + p mod r) else zero)).
      + rewrite <- (sum_read M n (fun i => f j (r * i + p mod r)) (p / r)).
        replace (inside (r * n) p) with ((0 <=? p / r) && (p / r <? n)).
        * replace (r * (p / r) + p mod r) with p by lia. reflexivity.
        * unfold inside. apply eq_true_iff_eq. rewrite !andb_true_iff, !Z.leb_le, !Z.ltb_lt. split; intros; nia.
      + intros i Hi. replace (r * i + p mod r =? p) with (i =? p / r); [reflexivity|].
        apply eq_true_iff_eq. rewrite !Z.eqb_eq. split; intros; nia.
    - rewrite sum_swap. apply sum_ext. intros b Hb. rewrite conv_entries. rewrite sum_swap.
      apply sum_ext. intros i Hi.
      transitivity (sum (pr + pl + 1) (fun u => sum k (fun j =>
        if (i =? 1 * q + 1 * u - pl) && (d * j =? r * (u - pl) + b - a + pb) then f j (r * i + b) else zero))).
      + rewrite sum_swap. apply sum_ext. intros j Hj. symmetry.
        apply (sum_point M _ _ _ _ (i - q + pl)).
        * intros E. bools. assert (0 <= d * j <= d * (k - 1)) by nia.
          assert (-1 < i - q + pl) by nia. assert (i - q < pr + 1) by nia.
          split; [lia|]. bools; nia.
        * intros u Hu E. bools. split; [bools; nia|lia].
      + apply sum_ext. intros u Hu. unfold reshuffled, hr_slot. rewrite tap_sum by exact Hd.
        rewrite if_sum. apply sum_ext. intros j Hj. symmetry. apply if_if.
  Qed.
End HighResolution.

(** Extents: n to n in high resolution is n to n in low resolution, with pads ceil(pb / r) and ceil((ke-1-pb) / r). *)
Theorem hr_extent : forall k d r pb n, 0 < r ->
  conv_extent k 1 d pb (ke k d - 1 - pb) (r * n) = r * n /\
  conv_extent (hr_taps k d r pb) 1 1 (ceil pb r) (ceil (ke k d - 1 - pb) r) n = n.
Proof. intros. unfold conv_extent, hr_taps. rewrite !Z.div_1_r. unfold ke. split; lia. Qed.

(** No more taps than in high resolution, from k = 2 on. *)
Theorem hr_taps_bound : forall k r pb, 0 < r -> 2 <= k -> 0 <= pb <= k - 1 -> hr_taps k 1 r pb <= k.
Proof.
  intros k r pb Hr Hk Hpb. unfold hr_taps, ke.
  replace (1 * (k - 1) + 1 - 1 - pb) with (k - 1 - pb) by lia.
  destruct (Z.eq_dec r 1) as [->|Hr1].
  - unfold ceil. rewrite !Z.div_1_r. lia.
  - set (x := ceil pb r). set (y := ceil (k - 1 - pb) r).
    assert (Hx : x <= pb) by (apply ceil_least; nia).
    assert (Hy : y <= k - 1 - pb) by (apply ceil_least; nia). lia.
Qed.
