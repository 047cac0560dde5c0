(** Claim 3: a transposed convolution is zero insertion, padding, and a stride-1 convolution with the reversed
    kernel: the sub-pixel convolution. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers.
Open Scope Z_scope.

Section ZeroInsertion.
  Context {M : cmonoid}.

  (** A convolution after zero insertion by z: y[o] = sum_j w[j] u~[s o + d j - pb], where u[z i] = x[i], zero
      elsewhere, has extent (n - 1) z + 1. *)
  Definition zero_inserted_extent (z n : Z) := (n - 1) * z + 1.

  Definition conv_zero_inserted (z k s d pb n : Z) (f : Z -> Z -> M) (o : Z) : M :=
    conv k s d pb (zero_inserted_extent z n) (fun j p => if p mod z =? 0 then f j (p / z) else zero) o.

  (** All hyper-parameters: pads d (k - 1) - pb and d (k - 1) - pe + op, which crop where they are negative. *)
  Theorem zero_insertion_general : forall k s d pb n (f : Z -> Z -> M) o, 0 < s -> 0 < d ->
    convT k s d pb n f o =
    conv_zero_inserted s k 1 d (d * (k - 1) - pb) n (fun j => f (k - 1 - j)) o.
  Proof.
    intros k s d pb n f o Hs Hd. unfold conv_zero_inserted, conv. rewrite sum_reverse.
    unfold convT. rewrite sum_swap. apply sum_ext. intros j Hj.
    replace (k - 1 - (k - 1 - j)) with j by lia.
    set (p := 1 * o + d * (k - 1 - j) - (d * (k - 1) - pb)).
    assert (Hp : p = o + pb - d * j) by (unfold p; lia). clearbody p. subst p. set (p := o + pb - d * j).
    name_div p s. unfold inside, zero_inserted_extent.
    destruct (Z.eqb_spec (p mod s) 0) as [E|E].
    - replace ((0 <=? p) && (p <? (n - 1) * s + 1)) with ((0 <=? p / s) && (p / s <? n)).
      + rewrite (sum_read M n (f j) (p / s)). apply sum_ext. intros i Hi.
        replace (s * i + d * j =? o + pb) with (i =? p / s); [reflexivity|].
        apply eq_true_iff_eq. rewrite !Z.eqb_eq. unfold p in *. split; intros; nia.
      + apply eq_true_iff_eq. rewrite !andb_true_iff, !Z.leb_le, !Z.ltb_lt. split; intros; nia.
    - transitivity (@zero M).
      + apply sum_zero. intros i Hi. destruct (Z.eqb_spec (s * i + d * j) (o + pb)) as [E'|E']; [|reflexivity].
        exfalso. apply E. replace p with (i * s) by (unfold p; lia). apply Z.mod_mul. lia.
      + destruct (_ && _); reflexivity.
  Qed.

  Theorem zero_insertion_extent : forall k s d pb pe op n,
    convT_extent k s d pb pe op n =
    conv_extent k 1 d (d * (k - 1) - pb) (d * (k - 1) - pe + op) (zero_inserted_extent s n).
  Proof. intros. unfold convT_extent, conv_extent, zero_inserted_extent, ke. rewrite Z.div_1_r. lia. Qed.

  (** The claim as it is stated: p <= k - 1, padding k - 1 - p on both sides. *)
  Theorem sub_pixel_convolution : forall k s p n (f : Z -> Z -> M) o, 0 < s -> 0 <= p <= k - 1 ->
    let pad := k - 1 - p in
    0 <= pad /\
    convT k s 1 p n f o = conv_zero_inserted s k 1 1 pad n (fun j => f (k - 1 - j)) o /\
    convT_extent k s 1 p p 0 n = conv_extent k 1 1 pad pad (zero_inserted_extent s n).
  Proof.
    intros k s p n f o Hs Hp pad. split; [unfold pad; lia|]. split.
    - rewrite zero_insertion_general by lia. unfold pad. replace (1 * (k - 1) - p) with (k - 1 - p) by lia.
      reflexivity.
    - rewrite zero_insertion_extent. unfold pad, conv_extent, ke. rewrite !Z.div_1_r. lia.
  Qed.
End ZeroInsertion.
