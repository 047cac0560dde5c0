(** Claim 31, lemmas 1 and 3 of docs/theory/soundness.md: inclusions of spans, and of tensor products of them.

    Rows may be of any type, infinitely many too: an entry of an operator at any extent is one row.  So "one reshuffle
    for all extents" is what [included] says. *)

From Coq Require Import List Ring Field Bool.
Import ListNotations.

Record field_of_scalars := {
  scalar :> Type;
  f0 : scalar; f1 : scalar;
  fadd : scalar -> scalar -> scalar; fmul : scalar -> scalar -> scalar; fsub : scalar -> scalar -> scalar;
  fopp : scalar -> scalar; fdiv : scalar -> scalar -> scalar; finv : scalar -> scalar;
  scalar_field : field_theory f0 f1 fadd fmul fsub fopp fdiv finv eq }.

Section Spans.
  Variable F : field_of_scalars.
  Add Field F_is_a_field : (scalar_field F).

  Local Notation "0" := (f0 F).
  Local Notation "1" := (f1 F).
  Local Notation "a + b" := (fadd F a b).
  Local Notation "a * b" := (fmul F a b).
  Local Notation "a / b" := (fdiv F a b).

  Fixpoint total {T : Type} (l : list T) (f : T -> F) : F :=
    match l with [] => 0 | t :: l => f t + total l f end.

  Lemma total_ext : forall T (l : list T) f g, (forall t, In t l -> f t = g t) -> total l f = total l g.
  Proof.
    induction l as [|t l IH]; intros f g H; cbn; [reflexivity|].
    rewrite (H t), (IH f g); [reflexivity| |]; intros; try apply H; cbn; auto.
  Qed.

  Lemma total_plus : forall T (l : list T) f g, total l (fun t => f t + g t) = total l f + total l g.
  Proof. induction l as [|t l IH]; intros f g; cbn; [ring|]. rewrite IH. ring. Qed.

  Lemma total_times : forall T (l : list T) a f, total l (fun t => a * f t) = a * total l f.
  Proof. induction l as [|t l IH]; intros a f; cbn; [ring|]. rewrite IH. ring. Qed.

  Lemma total_zero : forall T (l : list T), total l (fun _ => 0) = 0.
  Proof. induction l as [|t l IH]; cbn; [reflexivity|]. rewrite IH. ring. Qed.

  Lemma total_swap : forall S T (k : list S) (l : list T) (f : S -> T -> F),
    total k (fun s => total l (fun t => f s t)) = total l (fun t => total k (fun s => f s t)).
  Proof.
    induction k as [|s k IH]; intros l f; cbn; [symmetry; apply total_zero|].
    rewrite IH, total_plus. reflexivity.
  Qed.

  Lemma total_map : forall S T (l : list S) (g : S -> T) f, total (map g l) f = total l (fun s => f (g s)).
  Proof. induction l as [|s l IH]; intros g f; cbn; [reflexivity|]. rewrite IH. reflexivity. Qed.

  Lemma total_app : forall T (k l : list T) f, total (k ++ l) f = total k f + total l f.
  Proof. induction k as [|t k IH]; intros l f; cbn; [ring|]. rewrite IH. ring. Qed.

  Lemma total_product : forall S T (k : list S) (l : list T) f,
    total (list_prod k l) f = total k (fun s => total l (fun t => f (s, t))).
  Proof.
    induction k as [|s k IH]; intros l f; cbn; [reflexivity|].
    rewrite total_app, total_map, IH. reflexivity.
  Qed.

  Lemma times_nonzero : forall a b : F, a * b <> 0 -> a <> 0 /\ b <> 0.
  Proof. intros a b H. split; intros ->; apply H; ring. Qed.

  (** Two families on the same rows: a matrix with a column for each parameter, on the left and on the right. *)
  Record block := {
    row : Type; lpar : Type; rpar : Type;
    lpars : list lpar; rpars : list rpar;
    lform : row -> lpar -> F;
    rform : row -> rpar -> F }.

  (** One reshuffle serves all rows. *)
  Definition included (b : block) : Prop := exists L : rpar b -> lpar b -> F,
    forall x v, In v (lpars b) -> lform b x v = total (rpars b) (fun u => rform b x u * L u v).

  Definition nonzero (b : block) : Prop := exists x v, In v (lpars b) /\ lform b x v <> 0.

  (** ** Lemma 1 *)

  (** The reshuffle turns every parameter vector theta into one of the other side, L theta, at all rows. *)
  Theorem reshuffle_sound : forall b, included b -> forall theta : lpar b -> F, exists eta : rpar b -> F, forall x,
    total (lpars b) (fun v => lform b x v * theta v) = total (rpars b) (fun u => rform b x u * eta u).
  Proof.
    intros b [L H] theta. exists (fun u => total (lpars b) (fun v => L u v * theta v)). intros x.
    rewrite (total_ext _ _ _ (fun v => total (rpars b) (fun u => rform b x u * L u v * theta v))).
    - rewrite total_swap. apply total_ext. intros u _. rewrite <- total_times. apply total_ext. intros v _. ring.
    - intros v Hv. rewrite (H x v Hv).
      transitivity (theta v * total (rpars b) (fun u => rform b x u * L u v)); [ring|].
      rewrite <- total_times. apply total_ext. intros u _. ring.
  Qed.

  (** Conversely, if every operator of the left class is one of the right class, at all rows together, then one
      linear reshuffle does it. *)
  Theorem reshuffle_complete : forall b, (forall v v' : lpar b, {v = v'} + {v <> v'}) -> NoDup (lpars b) ->
    (forall theta : lpar b -> F, exists eta : rpar b -> F, forall x,
      total (lpars b) (fun v => lform b x v * theta v) = total (rpars b) (fun u => rform b x u * eta u)) ->
    included b.
  Proof.
    intros b dec nodup H.
    assert (columns : forall v, In v (lpars b) -> exists eta : rpar b -> F, forall x,
      lform b x v = total (rpars b) (fun u => rform b x u * eta u)).
    { intros v Hv. destruct (H (fun v' => if dec v v' then 1 else 0)) as [eta E]. exists eta. intros x.
      rewrite <- E. clear E H. revert nodup Hv.
      induction (lpars b) as [|v' l IH]; intros nodup Hv; [destruct Hv|].
      inversion nodup as [|? ? out nodup']; subst. cbn. destruct (dec v v') as [<-|N].
      - rewrite (total_ext _ l _ (fun _ => 0)), total_zero; [ring|].
        intros t Ht. destruct (dec v t) as [->|]; [contradiction|ring].
      - destruct Hv as [E|Hv]; [congruence|]. rewrite <- (IH nodup' Hv). ring. }
    clear H nodup. unfold included. induction (lpars b) as [|v l IH].
    - exists (fun _ _ => 0). intros x v [].
    - destruct IH as [L HL]; [intros; apply columns; cbn; auto|].
      destruct (columns v ltac:(cbn; auto)) as [eta E].
      exists (fun u v' => if dec v v' then eta u else L u v'). intros x v' Hv'.
      destruct (dec v v') as [<-|N]; [apply E|]. apply HL. destruct Hv' as [E'|]; [congruence|assumption].
  Qed.

  (** An annihilator, a functional on finitely many rows, refutes an inclusion. *)
  Theorem annihilator_refutes : forall b (rows : list (row b)) (c : row b -> F) v, In v (lpars b) ->
    (forall u, total rows (fun x => c x * rform b x u) = 0) ->
    total rows (fun x => c x * lform b x v) <> 0 -> ~ included b.
  Proof.
    intros b rows c v Hv R N [L H]. apply N.
    rewrite (total_ext _ _ _ (fun x => total (rpars b) (fun u => L u v * (c x * rform b x u)))).
    - rewrite total_swap. rewrite (total_ext _ _ _ (fun _ => 0)); [apply total_zero|].
      intros u _. rewrite total_times, R. ring.
    - intros x _. rewrite (H x v Hv), <- total_times. apply total_ext. intros u _. ring.
  Qed.

  (** ** Lemma 3 *)

  (** Rows and parameters are pairs, forms are products. *)
  Definition tensor (a b : block) : block := {|
    row := row a * row b; lpar := lpar a * lpar b; rpar := rpar a * rpar b;
    lpars := list_prod (lpars a) (lpars b); rpars := list_prod (rpars a) (rpars b);
    lform := fun x v => lform a (fst x) (fst v) * lform b (snd x) (snd v);
    rform := fun x u => rform a (fst x) (fst u) * rform b (snd x) (snd u) |}.

  Lemma tensor_included : forall a b, included a -> included b -> included (tensor a b).
  Proof.
    intros a b [L HL] [K HK]. exists (fun u v => L (fst u) (fst v) * K (snd u) (snd v)).
    intros [x y] [v w] Hv. apply in_prod_iff in Hv. destruct Hv as [Hv Hw]. cbn.
    rewrite total_product. cbn. rewrite (HL x v Hv), (HK y w Hw).
    transitivity (total (rpars a) (fun u => total (rpars b) (fun u' => rform b y u' * K u' w) * (rform a x u * L u v))).
    - rewrite total_times. ring.
    - apply total_ext. intros u _.
      transitivity ((rform a x u * L u v) * total (rpars b) (fun u' => rform b y u' * K u' w)); [ring|].
      rewrite <- total_times. apply total_ext. intros u' _. ring.
  Qed.

  (** Fix a row and a parameter of b at which the left form is not zero, and divide by it. *)
  Lemma included_first : forall a b, nonzero b -> included (tensor a b) -> included a.
  Proof.
    intros a b [y [w [Hw N]]] [L H].
    exists (fun u v => total (rpars b) (fun u' => rform b y u' * L (u, u') (v, w)) / lform b y w). intros x v Hv.
    assert (E : lform a x v * lform b y w =
                total (rpars a) (fun u => rform a x u * total (rpars b) (fun u' => rform b y u' * L (u, u') (v, w)))).
    { specialize (H (x, y) (v, w)). cbn in H. rewrite H by (apply in_prod; assumption).
      rewrite total_product. apply total_ext. intros u _. rewrite <- total_times. apply total_ext. intros u' _.
      cbn. ring. }
    transitivity (lform a x v * lform b y w / lform b y w); [field; exact N|]. rewrite E.
    transitivity (finv F (lform b y w) *
      total (rpars a) (fun u => rform a x u * total (rpars b) (fun u' => rform b y u' * L (u, u') (v, w)))).
    - field. exact N.
    - rewrite <- total_times. apply total_ext. intros u _. field. exact N.
  Qed.

  Lemma included_second : forall a b, nonzero a -> included (tensor a b) -> included b.
  Proof.
    intros a b [x [v [Hv N]]] [L H].
    exists (fun u' w => total (rpars a) (fun u => rform a x u * L (u, u') (v, w)) / lform a x v). intros y w Hw.
    assert (E : lform a x v * lform b y w =
                total (rpars b) (fun u' => rform b y u' * total (rpars a) (fun u => rform a x u * L (u, u') (v, w)))).
    { specialize (H (x, y) (v, w)). cbn in H. rewrite H by (apply in_prod; assumption).
      rewrite total_product, total_swap. apply total_ext. intros u' _. rewrite <- total_times. apply total_ext.
      intros u _. cbn. ring. }
    transitivity (lform a x v * lform b y w / lform a x v); [field; exact N|]. rewrite E.
    transitivity (finv F (lform a x v) *
      total (rpars b) (fun u' => rform b y u' * total (rpars a) (fun u => rform a x u * L (u, u') (v, w)))).
    - field. exact N.
    - rewrite <- total_times. apply total_ext. intros u' _. field. exact N.
  Qed.

  Lemma tensor_nonzero : forall a b, nonzero (tensor a b) -> nonzero a /\ nonzero b.
  Proof.
    intros a b [[x y] [[v w] [Hv N]]]. apply in_prod_iff in Hv. destruct Hv. apply times_nonzero in N. cbn in N.
    destruct N. split; [exists x, v | exists y, w]; auto.
  Qed.

  Theorem factorization_two : forall a b, nonzero (tensor a b) ->
    (included (tensor a b) <-> included a /\ included b).
  Proof.
    intros a b N. destruct (tensor_nonzero a b N) as [Na Nb]. split.
    - intros H. split; [exact (included_first a b Nb H)|exact (included_second a b Na H)].
    - intros [Ha Hb]. exact (tensor_included a b Ha Hb).
  Qed.

  (** Any number of blocks: axes and channel digits. *)
  Definition one_block : block := {|
    row := unit; lpar := unit; rpar := unit; lpars := [tt]; rpars := [tt];
    lform := fun _ _ => 1; rform := fun _ _ => 1 |}.

  Definition tensors (bs : list block) : block := fold_right tensor one_block bs.

  Theorem factorization : forall bs, nonzero (tensors bs) -> (included (tensors bs) <-> Forall included bs).
  Proof.
    induction bs as [|b bs IH]; intros N.
    - split; [constructor|]. intros _. exists (fun _ _ => 1). intros [] [] _. cbn. ring.
    - change (tensors (b :: bs)) with (tensor b (tensors bs)) in *.
      rewrite (factorization_two b (tensors bs) N). destruct (tensor_nonzero _ _ N) as [_ N'].
      rewrite (IH N'). split; [intros []; constructor; assumption|intros H; inversion H; auto].
  Qed.
End Spans.
