(** The words of Words.v are the layers of Layers.v; and the criterion of the cutoff theorem can be met. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers ZeroInsertion Words Cutoff.
Import ListNotations.
Open Scope Z_scope.

Section Meaning.
  Context {M : cmonoid} {K : Type} (mul : K -> M -> M).
  Context (mul_zero : forall a, mul a zero = zero).

  Theorem conv_word_meaning : forall W a C k s d pb pe n (x : signal) c o,
    0 < s -> 0 < d -> 0 <= o < extent (conv_word a C k s d pb pe) n ->
    finite mul W (conv_word a C k s d pb pe) n x c o =
    sum C (fun i => conv k s d pb n (fun j p => mul (W a c i j) (x i p)) o).
  Proof.
    intros W a C k s d pb pe n x c o Hs Hd Ho. cbn. apply sum_ext. intros i _. unfold conv. apply sum_ext.
    intros j _. unfold clip, inside, none.
    destruct (Z.ltb_spec (s * o + d * j - pb) 0); destruct (Z.leb_spec 0 (s * o + d * j - pb));
      destruct (Z.ltb_spec (s * o + d * j - pb) n); cbn; try lia; auto.
  Qed.

  (** The word of a transposed convolution has the reversed kernel. *)
  Theorem convT_word_meaning : forall W a C k s d pb pe op n (x : signal) c o,
    0 < s -> 0 < d -> 0 <= o < extent (convT_word a C k s d pb pe op) n ->
    finite mul W (convT_word a C k s d pb pe op) n x c o =
    sum C (fun i => convT k s d pb n (fun j p => mul (W a c i (k - 1 - j)) (x i p)) o).
  Proof.
    intros W a C k s d pb pe op n x c o Hs Hd Ho. cbn. apply sum_ext. intros i _.
    rewrite zero_insertion_general by assumption. unfold conv_zero_inserted, conv, zero_inserted_extent.
    apply sum_ext. intros j Hj. replace (k - 1 - (k - 1 - j)) with j by lia.
    replace (1 * o + d * j - (d * (k - 1) - pb)) with (o + d * j - (d * (k - 1) - pb)) by lia.
    set (p := o + d * j - (d * (k - 1) - pb)). unfold clip, inside, none. name_div p s.
    destruct (Z.ltb_spec p 0); destruct (Z.leb_spec 0 p); destruct (Z.ltb_spec p ((n - 1) * s + 1)); cbn; try lia;
      auto.
    destruct (Z.eqb_spec (p mod s) 0); [|auto].
    replace ((0 <=? p / s) && (p / s <? n)) with true; [reflexivity|].
    symmetry. bools; nia.
  Qed.
End Meaning.

(** Conv(k = 3, p = 1): at extent 3 the criterion of theorem 2 holds, so extents 1, 2 and 3 decide all. *)
Example criterion_met :
  let A := conv_word 0 1 3 1 1 1 1 in criterion A A 1 1 3 2.
Proof.
  assert (E : forall right o, 0 <= o < 3 -> (if right : bool then o < 2 else 0 < o) ->
    ~ sees right (conv_word 0 1 3 1 1 1 1) 3 0 o).
  { intros right o Ho Hr [i [j [_ [Hj H]]]]. cbn [sees zeros extent] in H. unfold none in H.
    destruct (Z.ltb_spec (1 * o + 1 * j - 1) 0); [destruct H as [->|[]]; lia|].
    destruct (Z.ltb_spec (1 * o + 1 * j - 1) 3); [destruct right; lia|].
    destruct H as [->|[]]. lia. }
  intros A. unfold criterion, neither. change (extent A 3) with 3.
  split; [lia|]. split; [reflexivity|].
  split; intros c o Hc Ho; replace c with 0 by lia; split; apply E; lia.
Qed.
