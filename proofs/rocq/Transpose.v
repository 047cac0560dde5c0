(** Claim 2: a transposed convolution is the transpose of the convolution with the same kernel. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers Lowering.
Open Scope Z_scope.

Section Transpose.
  Context {M : cmonoid}.

  (** As matrices: the entry (o, i) of the convolution from extent n to m is the entry (i, o) of the transposed
      convolution from m to n, for every kernel. *)
  Theorem transpose_entries : forall k s d p n m (w : Z -> M) o i, 0 <= i < n -> 0 <= o < m ->
    conv k s d p n (column i w) o = convT k s d p m (column o w) i.
  Proof.
    intros k s d p n m w o i Hi Ho. rewrite conv_entry, convT_entry by assumption.
    apply sum_ext. intros j _.
    replace (i =? s * o + d * j - p) with (s * o + d * j =? i + p); [reflexivity|].
    apply eq_true_iff_eq. rewrite !Z.eqb_eq. lia.
  Qed.

  (** As bilinear forms: sum_o y[o] (A x)[o] = sum_i (A^T y)[i] x[i], with g j o i for w[j] y[o] x[i]. *)
  Theorem transpose_adjoint : forall k s d p n m (g : Z -> Z -> Z -> M),
    sum m (fun o => conv k s d p n (fun j i => g j o i) o) =
    sum n (fun i => convT k s d p m (fun j o => g j o i) i).
  Proof.
    intros k s d p n m g. unfold convT. rewrite (sum_swap M n m). apply sum_ext. intros o _.
    rewrite conv_entries. apply sum_ext. intros i _. apply sum_ext. intros j _.
    replace (i =? s * o + d * j - p) with (s * o + d * j =? i + p); [reflexivity|].
    apply eq_true_iff_eq. rewrite !Z.eqb_eq. lia.
  Qed.
End Transpose.

(** The output padding that makes the extents fit is (n + 2 p - ke) mod s; here with two pads. *)
Theorem transpose_extent : forall k s d pb pe n, 0 < s ->
  let op := (n + pb + pe - ke k d) mod s in
  convT_extent k s d pb pe op (conv_extent k s d pb pe n) = n /\ 0 <= op < s.
Proof.
  intros k s d pb pe n Hs op. unfold convT_extent, conv_extent, op.
  name_div (n + pb + pe - ke k d) s. split; nia.
Qed.

(** The note's example: extent 8, k = 4, s = 2, p = 2 is a 5 x 8 matrix, and its transpose maps 5 to 8. *)
Example note_extents : conv_extent 4 2 1 2 2 8 = 5 /\ convT_extent 4 2 1 2 2 0 5 = 8.
Proof. split; reflexivity. Qed.
