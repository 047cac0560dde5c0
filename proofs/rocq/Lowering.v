(** Claims 4, 5 and 6: a transposed convolution is a convolution in low resolution, periodic shuffling and a crop. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers.
Open Scope Z_scope.

(** The reshuffle for a low-resolution pad pl and b pads of the transposed convolution: phase phi, tap u. *)
Definition lr_slot (k s d b pl phi u : Z) : option Z := tap k d (phi + b + s * pl - s * u).

Section Lowering.
  Context {M : cmonoid}.

  (** The lowering with every choice open: kt taps, pad pl before, the first c samples cropped. Two conditions say
      that the window of kt low-resolution taps sees all that it must see. *)
  Theorem lowering_general : forall k s d pb n kt pl c (f : Z -> Z -> M) o,
    0 < s -> 0 < d ->
    ke k d <= s * (pl + 1) + (pb - c) -> pb - c <= s * (kt - 1 - pl) ->
    convT k s d pb n f o =
    shuffled s (fun phi => conv kt 1 1 pl n (reshuffled (lr_slot k s d (pb - c) pl phi) f)) (o + c).
  Proof.
    unfold ke. intros k s d pb n kt pl c f o Hs Hd H1 H2. unfold shuffled.
    rewrite conv_entries. unfold convT. apply sum_ext. intros i Hi.
    name_div (o + c) s. set (q := (o + c) / s) in *. set (phi := (o + c) mod s) in *.
    transitivity (sum kt (fun u => sum k (fun j =>
      if (i =? 1 * q + 1 * u - pl) && (d * j =? phi + (pb - c) + s * pl - s * u) then f j i else zero))).
    - rewrite sum_swap. apply sum_ext. intros j Hj. symmetry.
      apply (sum_point M kt _ _ _ (i - q + pl)).
      + intros E. bools. assert (0 <= d * j <= d * (k - 1)) by nia.
        assert (-1 < i - q + pl) by nia. assert (i - q + pl < kt) by nia.
        split; [lia|]. bools; nia.
      + intros u Hu E. bools. split; [bools; nia|lia].
    - apply sum_ext. intros u Hu. unfold reshuffled, lr_slot. rewrite tap_sum by exact Hd.
      rewrite if_sum. apply sum_ext. intros j Hj. rewrite if_if. reflexivity.
  Qed.

  (** ** Claim 4: the universal lowering *)

  (** The kernel is zero-inserted by d, padded with a zeros before; phase phi takes the taps phi, phi + s, ...,
      reversed. *)
  Definition universal_slot (k s d a kt phi u : Z) : option Z := tap k d (phi + s * (kt - 1 - u) - a).

  Theorem universal_lowering : forall k s d pb n (f : Z -> Z -> M) o,
    0 < s -> 0 < d ->
    let a := (- pb) mod s in
    let P := (pb + a) / s in
    let K := ceil (ke k d + a) s in
    convT k s d pb n f o =
    shuffled s (fun phi => conv K 1 1 (K - 1 - P) n (reshuffled (universal_slot k s d a K phi) f)) o.
  Proof.
    intros k s d pb n f o Hs Hd a P K.
    assert (HP : pb + a = s * P).
    { apply Z.div_exact; [lia|]. unfold a. rewrite Zplus_mod_idemp_r.
      replace (pb + - pb) with 0 by lia. apply Z.mod_0_l. lia. }
    pose proof (Z.mod_pos_bound (- pb) s Hs) as Ha. fold a in Ha.
    pose proof (ceil_spec (ke k d + a) s Hs) as HK. fold K in HK.
    rewrite (lowering_general k s d pb n K (K - 1 - P) 0) by (try assumption; nia).
    rewrite Z.add_0_r. unfold shuffled. apply conv_ext. intros u i _.
    unfold reshuffled, lr_slot, universal_slot.
    replace (o mod s + (pb - 0) + s * (K - 1 - P) - s * u) with (o mod s + s * (K - 1 - u) - a) by nia.
    reflexivity.
  Qed.

  (** Extents: the shuffled output covers the transposed one, and less than s samples are cropped, all at the end. *)
  Theorem universal_lowering_extent : forall k s d pb pe op n,
    0 < s ->
    let a := (- pb) mod s in
    let P := (pb + a) / s in
    let K := ceil (ke k d + a) s in
    let after := ceil (ke k d - s - pb - pe + op) s + P in
    0 <= s * conv_extent K 1 1 (K - 1 - P) after n - convT_extent k s d pb pe op n < s.
  Proof.
    intros k s d pb pe op n Hs a P K after.
    pose proof (ceil_spec (ke k d - s - pb - pe + op) s Hs) as HC.
    unfold conv_extent, convT_extent, after. rewrite Z.div_1_r.
    replace (ke K 1) with K by (unfold ke; lia).
    remember (ceil (ke k d - s - pb - pe + op) s) as c. nia.
  Qed.

  (** ** Claim 4, aligned by a crop at both ends: ceil(ke / s) taps, the k / r of the literature *)

  Theorem two_sided_lowering : forall k s d pb n (f : Z -> Z -> M) o,
    0 < s -> 0 < d ->
    let K := ceil (ke k d) s in
    convT k s d pb n f o =
    shuffled s (fun phi => conv K 1 1 (K - 1 - pb / s) n (reshuffled (universal_slot k s d 0 K phi) f))
      (o + pb mod s).
  Proof.
    intros k s d pb n f o Hs Hd K. name_div pb s.
    pose proof (ceil_spec (ke k d) s Hs) as HK. fold K in HK.
    rewrite (lowering_general k s d pb n K (K - 1 - pb / s) (pb mod s)) by (try assumption; nia).
    unfold shuffled. apply conv_ext. intros u i _. unfold reshuffled, lr_slot, universal_slot.
    match goal with |- match tap _ _ ?x with _ => _ end = match tap _ _ ?y with _ => _ end =>
      replace x with y by nia; reflexivity end.
  Qed.

  Theorem two_sided_lowering_extent : forall k s d pb pe op n,
    0 < s ->
    let K := ceil (ke k d) s in
    let after := ceil (ke k d - pe + op) s - 1 in
    0 <= s * conv_extent K 1 1 (K - 1 - pb / s) after n - pb mod s - convT_extent k s d pb pe op n < s.
  Proof.
    intros k s d pb pe op n Hs K after.
    pose proof (ceil_spec (ke k d - pe + op) s Hs) as HC. name_div pb s.
    unfold conv_extent, convT_extent, after. rewrite Z.div_1_r.
    replace (ke K 1) with K by (unfold ke; lia).
    remember (ceil (ke k d - pe + op) s) as c. nia.
  Qed.

  (** ** When a low-resolution convolution is the transposed one, without a crop *)

  (** The entries of an operator in column i: the response to a unit sample at i. *)
  Definition column (i : Z) (w : Z -> M) (j i' : Z) : M := if i' =? i then w j else zero.

  Lemma convT_entry : forall k s d pb n w i o, 0 <= i < n ->
    convT k s d pb n (column i w) o = sum k (fun j => if s * i + d * j =? o + pb then w j else zero).
  Proof.
    intros. unfold convT. rewrite (sum_single M n _ i) by
      (try assumption; intros i' _ Hne; apply sum_zero; intros; unfold column;
       rewrite (proj2 (Z.eqb_neq i' i) Hne); destruct (_ =? _); reflexivity).
    apply sum_ext. intros. unfold column. rewrite Z.eqb_refl. reflexivity.
  Qed.

  Lemma conv_entry : forall k s d pb n w i o, 0 <= i < n ->
    conv k s d pb n (column i w) o = sum k (fun j => if i =? s * o + d * j - pb then w j else zero).
  Proof.
    intros. rewrite conv_entries. rewrite (sum_single M n _ i) by
      (try assumption; intros i' _ Hne; apply sum_zero; intros; unfold column;
       rewrite (proj2 (Z.eqb_neq i' i) Hne); destruct (_ =? _); reflexivity).
    apply sum_ext. intros. unfold column. rewrite Z.eqb_refl. reflexivity.
  Qed.

  (** The transposed convolution with kernel w is, at all extents and entry by entry, the shuffled convolution with
      kt taps, pad pl and one arbitrary kernel W phi a phase. *)
  Definition same_operator (k s d pb pe op kt pl : Z) (w : Z -> M) (W : Z -> Z -> M) : Prop :=
    forall n i o, 0 <= i < n -> 0 <= o < convT_extent k s d pb pe op n ->
      convT k s d pb n (column i w) o = shuffled s (fun phi => conv kt 1 1 pl n (column i (W phi))) o.

  Lemma same_operator_reach : forall k s d pb pe op kt pl w W j,
    0 < s -> 0 < d -> 0 <= j < k -> w j <> zero ->
    same_operator k s d pb pe op kt pl w W -> 0 <= pl - (d * j - pb) / s < kt.
  Proof.
    intros k s d pb pe op kt pl w W j Hs Hd Hj Hw H.
    set (i := Z.abs pb). set (n := i + 1 + Z.abs pe + Z.abs op). set (o := s * i + (d * j - pb)).
    assert (Hi : 0 <= i < n) by (unfold n, i; lia).
    assert (Ho : 0 <= o < convT_extent k s d pb pe op n).
    { unfold o, convT_extent, ke, n. split; [unfold i; nia|].
      assert (s * (i + Z.abs pe + Z.abs op) >= s * i + Z.abs pe + Z.abs op) by nia.
      assert (d * j <= d * (k - 1)) by nia. lia. }
    specialize (H n i o Hi Ho). rewrite convT_entry in H by exact Hi.
    unfold shuffled in H. rewrite conv_entry in H by exact Hi.
    rewrite (sum_single M k _ j Hj) in H.
    2:{ intros j' _ Hne. destruct (Z.eqb_spec (s * i + d * j') (o + pb)); [|reflexivity].
        exfalso. apply Hne. unfold o in *. nia. }
    replace (s * i + d * j =? o + pb) with true in H by (symmetry; apply Z.eqb_eq; unfold o; lia).
    assert (Hq : o / s = i + (d * j - pb) / s).
    { unfold o. rewrite (Z.mul_comm s i), Z.div_add_l by lia. reflexivity. }
    rewrite Hq in H. set (v := (d * j - pb) / s) in *.
    destruct (Z_lt_ge_dec (pl - v) 0) as [L|L]; [|destruct (Z_lt_ge_dec (pl - v) kt) as [L'|L']; [lia|]];
      exfalso; apply Hw; rewrite H; apply sum_zero; intros u Hu;
      destruct (Z.eqb_spec i (1 * (i + v) + 1 * u - pl)); try reflexivity; exfalso; lia.
  Qed.

  (** Exactly when: for a kernel with nonzero first and last tap, the two conditions of [lowering_general] are
      necessary; they are sufficient for every kernel. *)
  Theorem lowering_exactly_when : forall k s d pb pe op kt pl (w : Z -> M),
    0 < s -> 0 < d -> 1 <= k -> w 0 <> zero -> w (k - 1) <> zero ->
    ((exists W, same_operator k s d pb pe op kt pl w W) <->
     ke k d <= s * (pl + 1) + pb /\ pb <= s * (kt - 1 - pl)).
  Proof.
    intros k s d pb pe op kt pl w Hs Hd Hk W0 W1. split.
    - intros [W H].
      pose proof (same_operator_reach k s d pb pe op kt pl w W 0 Hs Hd ltac:(lia) W0 H) as R0.
      pose proof (same_operator_reach k s d pb pe op kt pl w W (k - 1) Hs Hd ltac:(lia) W1 H) as R1.
      name_div (d * 0 - pb) s. name_div (d * (k - 1) - pb) s. unfold ke. split; nia.
    - intros [H1 H2].
      exists (fun phi u => match lr_slot k s d pb pl phi u with Some j => w j | None => zero end).
      intros n i o Hi Ho. rewrite (lowering_general k s d pb n kt pl 0) by (try assumption; lia).
      unfold shuffled. rewrite Z.add_0_r. apply conv_ext. intros u i' Hi'.
      unfold reshuffled, column. rewrite Z.sub_0_r.
      destruct (lr_slot _ _ _ _ _ _ _); destruct (i' =? i); reflexivity.
  Qed.

  (** Claim 7: no crop is needed iff s divides ke - pb - pe + op. *)
  Theorem no_crop_extent : forall k s d pb pe op kt pl, 0 < s ->
    ((exists after, forall n, s * conv_extent kt 1 1 pl after n = convT_extent k s d pb pe op n) <->
     (s | ke k d - pb - pe + op)).
  Proof.
    intros k s d pb pe op kt pl Hs. unfold conv_extent, convT_extent. split.
    - intros [after H]. specialize (H 1). rewrite Z.div_1_r in H.
      exists (1 + pl + after - ke kt 1 + 1). rewrite Z.mul_comm. lia.
    - intros [c Hc]. exists (c + ke kt 1 - 2 - pl). intros n. rewrite Z.div_1_r.
      replace (ke k d) with (c * s + pb + pe - op) by lia. nia.
  Qed.

  (** ** Claim 5: kernel (o, i, k r, k r) = low-resolution kernel (o r^2, i, k, k) *)

  Theorem note_form : forall k r pbL peL n (f : Z -> Z -> M) o,
    0 < r ->
    let pb := r * (k - 1 - pbL) in
    convT (k * r) r 1 pb n f o =
    shuffled r (fun phi => conv k 1 1 pbL n (fun u i => f (phi + r * (k - 1 - u)) i)) o /\
    convT_extent (k * r) r 1 pb (r * (k - 1 - peL)) 0 n = r * conv_extent k 1 1 pbL peL n.
  Proof.
    intros k r pbL peL n f o Hr pb. split.
    - unfold pb. rewrite (lowering_general (k * r) r 1 _ n k pbL 0) by (unfold ke; nia).
      unfold shuffled. rewrite Z.add_0_r. apply sum_ext. intros u Hu.
      destruct (inside n _); [|reflexivity]. unfold reshuffled, lr_slot.
      pose proof (Z.mod_pos_bound o r Hr).
      replace (o mod r + (r * (k - 1 - pbL) - 0) + r * pbL - r * u) with (o mod r + r * (k - 1 - u)) by lia.
      replace (tap (k * r) 1 (o mod r + r * (k - 1 - u))) with (Some (o mod r + r * (k - 1 - u))); [reflexivity|].
      symmetry. apply tap_some; [lia|]. split; [nia|lia].
    - unfold convT_extent, conv_extent, ke. rewrite Z.div_1_r. unfold pb. nia.
  Qed.

  Theorem note_form_exactly_when : forall k r pb pe pbL peL (w : Z -> M),
    0 < r -> 1 <= k -> w 0 <> zero -> w (k * r - 1) <> zero ->
    (((exists W, same_operator (k * r) r 1 pb pe 0 k pbL w W) /\
      (forall n, convT_extent (k * r) r 1 pb pe 0 n = r * conv_extent k 1 1 pbL peL n)) <->
     pb = r * (k - 1 - pbL) /\ pe = r * (k - 1 - peL)).
  Proof.
    intros k r pb pe pbL peL w Hr Hk W0 W1.
    rewrite (lowering_exactly_when (k * r) r 1 pb pe 0 k pbL w) by (try assumption; nia).
    unfold ke, convT_extent, conv_extent, ke. split.
    - intros [[H1 H2] H3]. specialize (H3 1). rewrite Z.div_1_r in H3. split; nia.
    - intros [-> ->]. split; [split; nia|]. intros n. rewrite Z.div_1_r. nia.
  Qed.

  (** The reshuffle of claim 5 is a bijection of kernels: every (phase, tap) is one tap of the large kernel. *)
  Theorem note_reshuffle_bijection : forall k r, 0 < r ->
    (forall phi u, 0 <= phi < r -> 0 <= u < k -> 0 <= phi + r * (k - 1 - u) < k * r) /\
    (forall j, 0 <= j < k * r -> exists phi u, 0 <= phi < r /\ 0 <= u < k /\ j = phi + r * (k - 1 - u) /\
       forall phi' u', 0 <= phi' < r -> j = phi' + r * (k - 1 - u') -> phi' = phi /\ u' = u).
  Proof.
    intros k r Hr. split; [intros; nia|].
    intros j Hj. exists (j mod r), (k - 1 - j / r). name_div j r.
    repeat split; try nia.
    assert (k - 1 - u' = j / r) by nia. nia.
  Qed.

  (** ** Claim 6: the least number of low-resolution taps without a crop *)

  Definition least_taps (k s p : Z) : Z := if p mod s =? 0 then ceil k s else ceil (k - p mod s) s + 1.

  Theorem least_taps_bound : forall k s d pb pe op kt pl (w : Z -> M) W,
    0 < s -> 0 < d -> 1 <= k -> w 0 <> zero -> w (k - 1) <> zero ->
    same_operator k s d pb pe op kt pl w W -> least_taps (ke k d) s pb <= kt.
  Proof.
    intros k s d pb pe op kt pl w W Hs Hd Hk W0 W1 H.
    destruct (proj1 (lowering_exactly_when k s d pb pe op kt pl w Hs Hd Hk W0 W1) (ex_intro _ W H)) as [H1 H2].
    unfold least_taps. name_div pb s. destruct (Z.eqb_spec (pb mod s) 0) as [E|E].
    - apply ceil_least; nia.
    - assert (pb / s + 1 <= kt - 1 - pl) by nia.
      assert (ceil (ke k d - pb mod s) s <= kt - 1); [|lia]. apply ceil_least; nia.
  Qed.

  Theorem least_taps_attained : forall k s d pb n (f : Z -> Z -> M) o, 0 < s -> 0 < d ->
    let K := least_taps (ke k d) s pb in
    let pl := K - 1 - ceil pb s in
    convT k s d pb n f o = shuffled s (fun phi => conv K 1 1 pl n (reshuffled (lr_slot k s d pb pl phi) f)) o.
  Proof.
    intros k s d pb n f o Hs Hd K pl.
    pose proof (ceil_spec pb s Hs). name_div pb s.
    rewrite (lowering_general k s d pb n K pl 0).
    - rewrite Z.add_0_r, Z.sub_0_r. reflexivity.
    - exact Hs.
    - exact Hd.
    - unfold pl, K, least_taps. destruct (Z.eqb_spec (pb mod s) 0).
      + pose proof (ceil_spec (ke k d) s Hs). assert (ceil pb s = pb / s) by nia. nia.
      + pose proof (ceil_spec (ke k d - pb mod s) s Hs). assert (ceil pb s = pb / s + 1) by nia. nia.
    - unfold pl. nia.
  Qed.
End Lowering.

(** The misreading: k = 4, s = 2, p = 1 needs three low-resolution taps, not two. *)
Example least_taps_4_2_1 : least_taps 4 2 1 = 3.
Proof. reflexivity. Qed.
