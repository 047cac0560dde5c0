(** Finite sums in a commutative monoid.

    Every statement about layers below is about sums of products w[j] * x[i].  None of them uses anything about the
    products, so they are written f j i with f arbitrary, in any commutative monoid: this covers every ring, matrices
    of channels, and formal kernels. *)

From Coq Require Import ZArith Lia List Bool.
Open Scope Z_scope.

Record cmonoid := {
  carrier :> Type;
  zero : carrier;
  plus : carrier -> carrier -> carrier;
  plus_comm : forall a b, plus a b = plus b a;
  plus_assoc : forall a b c, plus a (plus b c) = plus (plus a b) c;
  plus_zero : forall a, plus zero a = a }.

Arguments zero {_}.
Arguments plus {_} _ _.
Arguments plus_comm {_} _ _.
Arguments plus_assoc {_} _ _ _.
Arguments plus_zero {_} _.

Section Sums.
  Variable M : cmonoid.
  Implicit Types f g h : Z -> M.

  Fixpoint sum_nat (n : nat) (f : Z -> M) : M :=
    match n with
    | O => zero
    | S n => plus (sum_nat n f) (f (Z.of_nat n))
    end.

  (** sum n f = f 0 + ... + f (n - 1); empty for n <= 0. *)
  Definition sum (n : Z) (f : Z -> M) : M := sum_nat (Z.to_nat n) f.

  Lemma zero_plus : forall a : M, plus a zero = a.
  Proof. intros. rewrite plus_comm. apply plus_zero. Qed.

  Lemma sum_ext : forall n f g, (forall i, 0 <= i < n -> f i = g i) -> sum n f = sum n g.
  Proof.
    intros n f g H. unfold sum.
    assert (H' : forall i, (0 <= i < Z.of_nat (Z.to_nat n)) -> f i = g i) by (intros; apply H; lia).
    clear H. induction (Z.to_nat n) as [|k IH]; cbn [sum_nat]; [reflexivity|].
    rewrite IH by (intros; apply H'; lia). rewrite H' by lia. reflexivity.
  Qed.

  Lemma sum_zero : forall n f, (forall i, 0 <= i < n -> f i = zero) -> sum n f = zero.
  Proof.
    intros n f H. rewrite (sum_ext n f (fun _ => zero) H). unfold sum.
    induction (Z.to_nat n) as [|k IH]; cbn [sum_nat]; [reflexivity|]. rewrite IH. apply plus_zero.
  Qed.

  Lemma sum_succ : forall n f, 0 <= n -> sum (n + 1) f = plus (sum n f) (f n).
  Proof.
    intros n f Hn. unfold sum. replace (Z.to_nat (n + 1)) with (S (Z.to_nat n)) by lia. cbn [sum_nat].
    rewrite Z2Nat.id by lia. reflexivity.
  Qed.

  Lemma sum_empty : forall n f, n <= 0 -> sum n f = zero.
  Proof. intros. unfold sum. replace (Z.to_nat n) with O by lia. reflexivity. Qed.

  Lemma sum_plus : forall n f g, sum n (fun i => plus (f i) (g i)) = plus (sum n f) (sum n g).
  Proof.
    intros n f g. unfold sum. induction (Z.to_nat n) as [|k IH]; cbn [sum_nat].
    - rewrite plus_zero. reflexivity.
    - rewrite IH, <- !plus_assoc. f_equal. rewrite !plus_assoc. f_equal. apply plus_comm.
  Qed.

  Lemma sum_swap : forall n m (f : Z -> Z -> M),
    sum n (fun i => sum m (fun j => f i j)) = sum m (fun j => sum n (fun i => f i j)).
  Proof.
    intros n m f. unfold sum at 1 4. induction (Z.to_nat n) as [|k IH]; cbn [sum_nat].
    - symmetry. apply sum_zero. reflexivity.
    - rewrite IH. rewrite <- sum_plus. reflexivity.
  Qed.

  Lemma sum_single : forall n f i0,
    0 <= i0 < n -> (forall i, 0 <= i < n -> i <> i0 -> f i = zero) -> sum n f = f i0.
  Proof.
    intros n f i0 Hi H. replace n with (i0 + 1 + (n - i0 - 1)) in * by lia.
    remember (n - i0 - 1) as e eqn:He. assert (0 <= e) by lia. clear He n.
    revert H. pattern e. apply natlike_ind; [| |lia].
    - intros H. rewrite Z.add_0_r in *. rewrite sum_succ by lia.
      rewrite (sum_zero i0) by (intros; apply H; lia). apply plus_zero.
    - intros e' He' IH H'. replace (i0 + 1 + Z.succ e') with (i0 + 1 + e' + 1) in * by lia.
      rewrite sum_succ by lia. rewrite IH by (intros; apply H'; lia).
      rewrite (H' (i0 + 1 + e')) by lia. apply zero_plus.
  Qed.

  (** A sum over one index of an indicator that holds at most at one point. *)
  Lemma sum_point : forall n (p : Z -> bool) (q : bool) (g : M) i0,
    (q = true -> 0 <= i0 < n /\ p i0 = true) ->
    (forall i, 0 <= i < n -> p i = true -> q = true /\ i = i0) ->
    sum n (fun i => if p i then g else zero) = if q then g else zero.
  Proof.
    intros n p q g i0 H1 H2. destruct q.
    - destruct (H1 eq_refl) as [Hr Hp].
      rewrite (sum_single n (fun i => if p i then g else zero) i0 Hr); [rewrite Hp; reflexivity|].
      intros i Hi Hne. destruct (p i) eqn:E; [|reflexivity].
      destruct (H2 i Hi E). contradiction.
    - apply sum_zero. intros i Hi. destruct (p i) eqn:E; [|reflexivity].
      destruct (H2 i Hi E). discriminate.
  Qed.

  (** Reading at one point as a sum. *)
  Lemma sum_read : forall n f p,
    (if (0 <=? p) && (p <? n) then f p else zero) = sum n (fun i => if i =? p then f i else zero).
  Proof.
    intros n f p. destruct ((0 <=? p) && (p <? n)) eqn:E.
    - apply andb_prop in E. destruct E as [E1 E2]. apply Z.leb_le in E1. apply Z.ltb_lt in E2.
      rewrite (sum_single n _ p); [rewrite Z.eqb_refl; reflexivity|lia|].
      intros i _ Hne. apply Z.eqb_neq in Hne. rewrite Hne. reflexivity.
    - symmetry. apply sum_zero. intros i Hi. destruct (Z.eqb_spec i p); [|reflexivity].
      subst. exfalso. apply andb_false_iff in E. rewrite Z.leb_gt, Z.ltb_ge in E. lia.
  Qed.

  Lemma sum_reverse : forall n f, sum n f = sum n (fun i => f (n - 1 - i)).
  Proof.
    intros n f.
    rewrite (sum_ext n f (fun i => sum n (fun j => if j =? n - 1 - i then f i else zero))).
    - rewrite sum_swap. apply sum_ext. intros j Hj.
      rewrite (sum_single n _ (n - 1 - j)); [|lia|].
      + replace (j =? n - 1 - (n - 1 - j)) with true by (symmetry; apply Z.eqb_eq; lia). reflexivity.
      + intros i Hi Hne. replace (j =? n - 1 - i) with false by (symmetry; apply Z.eqb_neq; lia). reflexivity.
    - intros i Hi. symmetry. rewrite (sum_single n _ (n - 1 - i)); [rewrite Z.eqb_refl; reflexivity|lia|].
      intros j _ Hne. apply Z.eqb_neq in Hne. rewrite Hne. reflexivity.
  Qed.

  Lemma if_sum : forall (b : bool) n f,
    (if b then sum n f else zero) = sum n (fun i => if b then f i else zero).
  Proof. intros [] n f; [reflexivity|]. symmetry. apply sum_zero. reflexivity. Qed.

  Lemma if_if : forall (b c : bool) (x : M),
    (if b then (if c then x else zero) else zero) = if b && c then x else zero.
  Proof. intros [] c x; reflexivity. Qed.
End Sums.

Arguments sum {_} _ _.

(** Booleans about integers, for lia. *)
Ltac bools := repeat match goal with
  | H : (_ && _)%bool = true |- _ => apply andb_prop in H; destruct H
  | H : (_ =? _) = true |- _ => apply Z.eqb_eq in H
  | H : (_ =? _) = false |- _ => apply Z.eqb_neq in H
  | H : (_ <=? _) = true |- _ => apply Z.leb_le in H
  | H : (_ <? _) = true |- _ => apply Z.ltb_lt in H
  | |- (_ && _)%bool = true => apply andb_true_intro; split
  | |- (_ =? _) = true => apply Z.eqb_eq
  | |- (_ <=? _) = true => apply Z.leb_le
  | |- (_ <? _) = true => apply Z.ltb_lt
  end.
