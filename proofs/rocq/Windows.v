(** Claim 31, theorem 1 of docs/theory/soundness.md: windowed words. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers Words.
Import ListNotations.
Open Scope Z_scope.

(** How far the untruncated signal reaches beyond the extent. *)
Fixpoint bounds (w : word) : Z * Z :=
  match w with
  | [] => (0, 0)
  | s :: w =>
    let (l, r) := bounds w in
    match s with
    | Extend b e _ _ => (l - b, r - e)
    | Correlate _ _ k d => (l + d * (k - 1), r + d * (k - 1))
    | Decimate f => (l / f, ceil r f)
    | Expand f | Join f _ => (f * l, f * r)
    | Split f _ _ => (ceil l f, ceil r f)
    end
  end.

(** Extensions are by zeros, and every one by b > 0 before meets l <= 0, every one by e > 0 after meets r <= 0. *)
Fixpoint windowed (w : word) : Prop :=
  match w with
  | [] => True
  | Extend b e lo hi :: w =>
    (0 < b -> fst (bounds w) <= 0 /\ forall p, lo p = None) /\
    (0 < e -> snd (bounds w) <= 0 /\ forall p, hi p = None) /\ windowed w
  | _ :: w => windowed w
  end.

(** Unshuffling needs a multiple of its factor. *)
Fixpoint splits (w : word) (n : Z) : Prop :=
  match w with
  | [] => True
  | Split f _ _ :: w => extent w n mod f = 0 /\ splits w n
  | _ :: w => splits w n
  end.

Section Windows.
  Context {M : cmonoid} {K : Type} (mul : K -> M -> M).
  Context (mul_zero : forall a, mul a zero = zero).

  (** The untruncated result is zero outside [-l, m + r). *)
  Lemma support : forall W w n (x : signal) c o, word_ok w -> splits w n ->
    o < - fst (bounds w) \/ extent w n + snd (bounds w) <= o -> infinite mul W w (clip n x) c o = zero.
  Proof.
    intros W w n x. induction w as [|s w IH]; intros c o Hw Hs Ho.
    - cbn in *. unfold clip, inside. destruct ((0 <=? o) && (o <? n)) eqn:E; [|reflexivity]. bools. lia.
    - inversion Hw as [|? ? Hok Hw']; subst. cbn [infinite]. cbn [bounds extent] in Ho.
      destruct (bounds w) as [l r] eqn:B. cbn [fst snd] in IH.
      destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn [fst snd extent] in Ho; cbn [plain step_ok splits] in *.
      + apply IH; try assumption. lia.
      + apply sum_zero. intros i _. apply sum_zero. intros j Hj.
        assert (0 <= d * j <= d * (k - 1)) by nia.
        rewrite IH; [apply mul_zero|assumption..|lia].
      + apply IH; try assumption. name_div l f. pose proof (ceil_spec r f Hok). name_div (extent w n - 1) f.
        destruct Ho; [left; nia|right; nia].
      + destruct (Z.eqb_spec (o mod f) 0); [|reflexivity]. apply IH; try assumption. name_div o f.
        destruct Ho; [left; nia|right; nia].
      + apply IH; try assumption. name_div o f. destruct Ho; [left; nia|right; nia].
      + destruct Hs as [Hs Hs']. apply IH; try assumption. pose proof (ceil_spec r f Hok).
        pose proof (ceil_spec l f Hok). name_div (g c) f. name_div (extent w n) f.
        destruct Ho; [left; nia|right; nia].
  Qed.

  (** Theorem 1, first claim: every sample in range is that of the bi-infinite word. *)
  Theorem windows : forall W w n (x : signal) c o, word_ok w -> windowed w -> splits w n ->
    0 <= o < extent w n -> finite mul W w n x c o = infinite mul W w (clip n x) c o.
  Proof.
    intros W w n x. induction w as [|s w IH]; intros c o Hw Hb Hs Ho; [reflexivity|].
    inversion Hw as [|? ? Hok Hw']; subst. cbn [infinite finite].
    destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn [extent] in Ho;
      cbn [bordered plain step_ok splits windowed] in *.
    - destruct Hb as [Hl [Hr Hb]].
      destruct (Z.ltb_spec (o - b) 0) as [L|L].
      { destruct (Hl ltac:(lia)) as [Hl' N]. rewrite N. symmetry. apply support; try assumption. lia. }
      destruct (Z.ltb_spec (o - b) (extent w n)) as [R|R]; [apply IH; try assumption; lia|].
      destruct (Hr ltac:(lia)) as [Hr' N]. rewrite N. symmetry. apply support; try assumption. lia.
    - apply sum_ext. intros i _. apply sum_ext. intros j Hj.
      assert (0 <= d * j <= d * (k - 1)) by nia. rewrite IH; try assumption; [reflexivity|lia].
    - apply IH; try assumption. name_div (extent w n - 1) f. nia.
    - destruct (o mod f =? 0); [|reflexivity]. apply IH; try assumption. name_div o f. nia.
    - apply IH; try assumption. name_div o f. nia.
    - destruct Hs as [Hs Hs']. apply IH; try assumption. name_div (g c) f. name_div (extent w n) f. nia.
  Qed.

  (** The bias family is the response to a constant signal, which is nowhere clipped: it is windowed if no step
      extends by a positive amount. *)
  Theorem windows_unpadded : forall W w n (x : signal), word_ok w -> splits w n ->
    Forall (fun s => match s with Extend b e _ _ => b <= 0 /\ e <= 0 | _ => True end) w ->
    forall c o, 0 <= o < extent w n -> finite mul W w n x c o = infinite mul W w x c o.
  Proof.
    intros W w n x. induction w as [|s w IH]; intros Hw Hs Hp c o Ho.
    { cbn in *. unfold clip, inside. replace ((0 <=? o) && (o <? n)) with true; [reflexivity|]. symmetry. bools; lia. }
    inversion Hw as [|? ? Hok Hw']; subst. inversion Hp as [|? ? Hbe Hp']; subst. cbn [infinite finite].
    destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn [extent] in Ho; cbn [bordered plain step_ok splits] in *.
    - destruct (Z.ltb_spec (o - b) 0) as [L|L]; [lia|].
      destruct (Z.ltb_spec (o - b) (extent w n)) as [R|R]; [apply IH; try assumption; lia|lia].
    - apply sum_ext. intros i _. apply sum_ext. intros j Hj.
      assert (0 <= d * j <= d * (k - 1)) by nia. rewrite IH; try assumption; [reflexivity|lia].
    - apply IH; try assumption. name_div (extent w n - 1) f. nia.
    - destruct (o mod f =? 0); [|reflexivity]. apply IH; try assumption. name_div o f. nia.
    - apply IH; try assumption. name_div o f. nia.
    - destruct Hs as [Hs Hs']. apply IH; try assumption. name_div (g c) f. name_div (extent w n) f. nia.
  Qed.

  (** The bi-infinite word repeats under the shift (o, i) -> (o + Q, i + P). *)
  Theorem infinite_shift : forall W w P Q, word_ok w -> moves w P = Some Q ->
    forall (x : signal) c o, infinite mul W w (shift P x) c o = infinite mul W w x c (o + Q).
  Proof.
    intros W w P. induction w as [|s w IH]; intros Q Hw Hm x c o.
    - cbn in *. injection Hm as <-. reflexivity.
    - inversion Hw as [|? ? Hok Hw']; subst. cbn [moves] in Hm. destruct (moves w P) as [v|]; [|discriminate].
      specialize (IH v Hw' eq_refl x). cbn [infinite].
      destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn [plain step_ok] in *;
        try (destruct (Z.eqb_spec (v mod f) 0) as [E|E]; [|discriminate]); injection Hm as <-.
      + rewrite IH. f_equal. lia.
      + apply sum_ext. intros i _. apply sum_ext. intros j _. rewrite IH. do 2 f_equal. lia.
      + rewrite IH. f_equal. name_div v f. nia.
      + replace (o + f * v) with (o + v * f) by ring. rewrite Z.mod_add, Z.div_add by lia.
        destruct (o mod f =? 0); [apply IH|reflexivity].
      + replace (o + f * v) with (o + v * f) by ring. rewrite Z.mod_add, Z.div_add by lia. apply IH.
      + rewrite IH. f_equal. name_div v f. nia.
  Qed.

  (** Theorem 1 as the checker uses it: two windowed words that agree, as bi-infinite words, on one output period,
      agree at every extent valid for both. *)
  Theorem windowed_agreement : forall (A B : word) W V P Q,
    word_ok A -> word_ok B -> windowed A -> windowed B ->
    moves A P = Some Q -> moves B P = Some Q -> 0 < Q ->
    (forall (x : signal) c o, 0 <= o < Q -> infinite mul W A x c o = infinite mul V B x c o) ->
    forall n (x : signal) c o, splits A n -> splits B n -> 0 <= o < extent A n -> 0 <= o < extent B n ->
      finite mul W A n x c o = finite mul V B n x c o.
  Proof.
    intros A B W V P Q okA okB wA wB mA mB HQ H n x c o sA sB oA oB.
    rewrite !windows by assumption. generalize (clip n x). clear oB sA sB.
    assert (G : forall t o, 0 <= o < Q -> forall y : signal,
      infinite mul W A y c (o + Z.of_nat t * Q) = infinite mul V B y c (o + Z.of_nat t * Q)).
    { induction t as [|t IH]; intros o' Ho' y.
      - rewrite Z.mul_0_l, Z.add_0_r. apply H. exact Ho'.
      - replace (o' + Z.of_nat (S t) * Q) with (o' + Z.of_nat t * Q + Q) by lia.
        rewrite <- (infinite_shift W A P Q okA mA), <- (infinite_shift V B P Q okB mB). apply IH. exact Ho'. }
    intros y. name_div o Q. assert (0 <= o / Q) by (apply Z.div_pos; lia).
    replace o with (o mod Q + Z.of_nat (Z.to_nat (o / Q)) * Q) by (rewrite Z2Nat.id by lia; lia).
    apply G. lia.
  Qed.
End Windows.
