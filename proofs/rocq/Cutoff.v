(** Claim 31, theorem 2 of docs/theory/soundness.md: the cutoff.  Padding with zeros, replicate and reflect; circular
    padding stays on paper. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers Words.
Import ListNotations.
Open Scope Z_scope.

(** A path from output sample o of channel c meets the left border (right = false) or the right border (right =
    true): it reads outside the window of an extension, or of the input.  It goes on where the extension reads. *)
Fixpoint sees (right : bool) (w : word) (n c o : Z) : Prop :=
  match w with
  | [] => if right then n <= o else o < 0
  | Extend b _ lo hi :: w =>
    let p := o - b in
    if p <? 0 then right = false \/ match lo p with Some q => sees right w n c q | None => False end
    else if p <? extent w n then sees right w n c p
    else right = true \/ match hi (p - extent w n) with
                         | Some q => sees right w n c (extent w n + q) | None => False end
  | Correlate _ C k d :: w => exists i j, 0 <= i < C /\ 0 <= j < k /\ sees right w n i (o + d * j)
  | Decimate f :: w => sees right w n c (f * o)
  | Expand f :: w => o mod f = 0 /\ sees right w n c (o / f)
  | Join f g :: w => sees right w n (g c (o mod f)) (o / f)
  | Split f h g :: w => sees right w n (h c) (f * o + g c mod f)
  end.

Lemma moves_nonneg : forall w P Q, word_ok w -> moves w P = Some Q -> 0 <= P -> 0 <= Q.
Proof.
  intros w P. induction w as [|s w IH]; intros Q Hw Hm HP; cbn in Hm; [congruence|].
  inversion Hw as [|? ? Hok Hw']; subst. destruct (moves w P) as [v|]; [|discriminate].
  specialize (IH v Hw' eq_refl HP).
  destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn in Hok;
    try (destruct (v mod f =? 0); [|discriminate]); injection Hm as <-; try nia; apply Z.div_pos; lia.
Qed.

(** When the input grows by P samples, every window grows by a whole number of samples, Q at the output. *)
Lemma extent_moves : forall w n P Q, word_ok w -> moves w P = Some Q -> extent w (n + P) = extent w n + Q.
Proof.
  intros w n P. induction w as [|s w IH]; intros Q Hw Hm; cbn in Hm; [injection Hm as <-; reflexivity|].
  inversion Hw as [|? ? Hok Hw']; subst. destruct (moves w P) as [v|]; [|discriminate].
  specialize (IH v Hw' eq_refl).
  destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn in Hok; cbn [extent];
    try (destruct (Z.eqb_spec (v mod f) 0) as [E|E]; [|discriminate]); injection Hm as <-; rewrite IH; try lia.
  - apply Z.mod_divide in E; [|lia]. destruct E as [t ->]. rewrite Z.div_mul by lia.
    replace (extent w n + t * f - 1) with (extent w n - 1 + t * f) by lia. rewrite Z.div_add by lia. lia.
  - apply Z.mod_divide in E; [|lia]. destruct E as [t ->]. rewrite Z.div_mul, Z.div_add by lia. reflexivity.
Qed.

Section Cutoff.
  Context {M : cmonoid} {K : Type} (mul : K -> M -> M).

  (** A row that does not see the right border stays as it is when the input grows, and sees the same. *)
  Theorem row_left : forall w n P Q, word_ok w -> moves w P = Some Q -> 0 <= P ->
    forall c o, ~ sees true w n c o ->
    (forall W (x : signal), finite mul W w (n + P) x c o = finite mul W w n x c o) /\
    ~ sees true w (n + P) c o /\
    (sees false w (n + P) c o <-> sees false w n c o).
  Proof.
    intros w n P. induction w as [|s w IH]; intros Q Hw Hm HP c o Hs.
    { cbn in *. injection Hm as <-. split; [|lia]. intros _ x. unfold clip, inside.
      replace (o <? n + P) with (o <? n); [reflexivity|]. apply eq_true_iff_eq. rewrite !Z.ltb_lt. lia. }
    inversion Hw as [|? ? Hok Hw']; subst. cbn [moves] in Hm. destruct (moves w P) as [v|] eqn:Ev; [|discriminate].
    pose proof (moves_nonneg w P v Hw' Ev HP) as Hv. pose proof (extent_moves w n P v Hw' Ev) as Hx.
    specialize (IH v Hw' eq_refl HP). clear Hm.
    destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn [finite bordered plain sees] in *.
    - rewrite !Hx. destruct (Z.ltb_spec (o - b) 0) as [L|L].
      + destruct (lo (o - b)) as [q|].
        * destruct (IH c q) as [I1 [I2 I3]]; [tauto|]. split; [intros; apply I1|]. split; [|tauto].
          intros [E|E]; [discriminate|contradiction].
        * split; [reflexivity|tauto].
      + destruct (Z.ltb_spec (o - b) (extent w n)) as [R|R]; [|exfalso; apply Hs; left; reflexivity].
        destruct (Z.ltb_spec (o - b) (extent w n + v)) as [R'|R']; [|lia]. apply IH. exact Hs.
    - assert (I : forall i j, 0 <= i < C -> 0 <= j < k -> ~ sees true w n i (o + d * j)).
      { intros i j Hi Hj H. apply Hs. exists i, j. auto. }
      split; [|split].
      + intros W x. apply sum_ext. intros i Hi. apply sum_ext. intros j Hj. f_equal. apply IH. auto.
      + intros [i [j [Hi [Hj H]]]]. apply IH in H; auto.
      + split; intros [i [j [Hi [Hj H]]]]; exists i, j; (split; [exact Hi|split; [exact Hj|]]);
          apply (IH i (o + d * j)); auto.
    - apply IH. exact Hs.
    - destruct (Z.eqb_spec (o mod f) 0) as [E|E].
      + destruct (IH c (o / f)) as [I1 [I2 I3]]; [tauto|]. split; [intros; apply I1|tauto].
      + split; [reflexivity|tauto].
    - apply IH. exact Hs.
    - apply IH. exact Hs.
  Qed.

  (** A row that does not see the left border moves with the right end, and sees the same. *)
  Theorem row_right : forall w n P Q, word_ok w -> moves w P = Some Q -> 0 <= P ->
    forall c o, ~ sees false w n c o ->
    (forall W (x : signal), finite mul W w (n + P) x c (o + Q) = finite mul W w n (shift P x) c o) /\
    ~ sees false w (n + P) c (o + Q) /\
    (sees true w (n + P) c (o + Q) <-> sees true w n c o).
  Proof.
    intros w n P. induction w as [|s w IH]; intros Q Hw Hm HP c o Hs.
    { cbn in *. injection Hm as <-. split; [|lia]. intros _ x. unfold clip, inside, shift.
      replace (0 <=? o + P) with (0 <=? o) by (apply eq_true_iff_eq; rewrite !Z.leb_le; lia).
      replace (o + P <? n + P) with (o <? n) by (apply eq_true_iff_eq; rewrite !Z.ltb_lt; lia). reflexivity. }
    inversion Hw as [|? ? Hok Hw']; subst. cbn [moves] in Hm. destruct (moves w P) as [v|] eqn:Ev; [|discriminate].
    pose proof (moves_nonneg w P v Hw' Ev HP) as Hv. pose proof (extent_moves w n P v Hw' Ev) as Hx.
    specialize (IH v Hw' eq_refl HP).
    destruct s as [b e lo hi|a C k d|f|f|f g|f h g]; cbn [finite bordered plain sees step_ok] in *;
      try (destruct (Z.eqb_spec (v mod f) 0) as [E|E]; [|discriminate]); injection Hm as <-.
    - rewrite !Hx. replace (o + v - b) with (o - b + v) by lia.
      destruct (Z.ltb_spec (o - b) 0) as [L|L]; [exfalso; apply Hs; left; reflexivity|].
      destruct (Z.ltb_spec (o - b + v) 0) as [L'|L']; [lia|].
      destruct (Z.ltb_spec (o - b) (extent w n)) as [R|R];
        destruct (Z.ltb_spec (o - b + v) (extent w n + v)) as [R'|R']; try lia; [apply IH; exact Hs|].
      replace (o - b + v - (extent w n + v)) with (o - b - extent w n) by lia.
      destruct (hi (o - b - extent w n)) as [q|].
      + replace (extent w n + v + q) with (extent w n + q + v) by lia.
        destruct (IH c (extent w n + q)) as [I1 [I2 I3]]; [tauto|]. split; [intros; apply I1|]. split; [|tauto].
        intros [E|E]; [discriminate|contradiction].
      + split; [reflexivity|tauto].
    - assert (I : forall i j, 0 <= i < C -> 0 <= j < k -> ~ sees false w n i (o + d * j)).
      { intros i j Hi Hj H. apply Hs. exists i, j. auto. }
      split; [|split].
      + intros W x. apply sum_ext. intros i Hi. apply sum_ext. intros j Hj. f_equal.
        replace (o + v + d * j) with (o + d * j + v) by lia. apply IH. auto.
      + intros [i [j [Hi [Hj H]]]]. replace (o + v + d * j) with (o + d * j + v) in H by lia.
        apply IH in H; auto.
      + split; intros [i [j [Hi [Hj H]]]]; exists i, j; (split; [exact Hi|split; [exact Hj|]]).
        * replace (o + v + d * j) with (o + d * j + v) in H by lia. apply (IH i (o + d * j)); auto.
        * replace (o + v + d * j) with (o + d * j + v) by lia. apply (IH i (o + d * j)); auto.
    - replace (f * (o + v / f)) with (f * o + v) by (name_div v f; nia). apply IH. exact Hs.
    - replace (o + f * v) with (o + v * f) by ring. rewrite !Z.mod_add, !Z.div_add by lia.
      destruct (Z.eqb_spec (o mod f) 0) as [E|E].
      + destruct (IH c (o / f)) as [I1 [I2 I3]]; [tauto|]. split; [intros; apply I1|tauto].
      + split; [reflexivity|tauto].
    - replace (o + f * v) with (o + v * f) by ring. rewrite !Z.mod_add, !Z.div_add by lia. apply IH. exact Hs.
    - replace (f * (o + v / f) + g c mod f) with (f * o + g c mod f + v) by (name_div v f; nia). apply IH. exact Hs.
  Qed.

  (** ** Two words with the same output extents and channels *)

  Section Pair.
    Context (A B : word) (okA : word_ok A) (okB : word_ok B).
    (** A period of the pair, the output shift that belongs to it, and the output channels. *)
    Context (P Q channels : Z) (P_nonneg : 0 <= P).
    Context (moves_A : moves A P = Some Q) (moves_B : moves B P = Some Q).

    Definition neither (right : bool) (n c o : Z) : Prop := ~ sees right A n c o /\ ~ sees right B n c o.

    (** There is a c, Q <= c <= m: no o < c sees the right border, no o >= c - Q sees the left border. *)
    Definition criterion (n cut : Z) : Prop :=
      Q <= cut <= extent A n /\ extent B n = extent A n /\
      (forall c o, 0 <= c < channels -> 0 <= o < cut -> neither true n c o) /\
      (forall c o, 0 <= c < channels -> cut - Q <= o < extent A n -> neither false n c o).

    (** Theorem 2, first part: the criterion holds at n + P with the same c. *)
    Theorem criterion_grows : forall n cut, criterion n cut -> criterion (n + P) cut.
    Proof.
      intros n cut [Hc [He [HR HL]]]. unfold criterion, neither in *.
      rewrite (extent_moves A n P Q okA moves_A), (extent_moves B n P Q okB moves_B).
      pose proof (moves_nonneg A P Q okA moves_A P_nonneg) as HQ.
      split; [lia|]. split; [lia|]. split; intros c o Hch Ho.
      - destruct (HR c o Hch Ho) as [RA RB].
        split; [apply (row_left A n P Q okA moves_A P_nonneg c o RA)|
                apply (row_left B n P Q okB moves_B P_nonneg c o RB)].
      - destruct (Z_lt_ge_dec o cut) as [L|L].
        + destruct (HR c o Hch ltac:(lia)) as [RA RB]. destruct (HL c o Hch ltac:(lia)) as [LA LB].
          split; [rewrite (proj2 (proj2 (row_left A n P Q okA moves_A P_nonneg c o RA))); exact LA|
                  rewrite (proj2 (proj2 (row_left B n P Q okB moves_B P_nonneg c o RB))); exact LB].
        + destruct (HL c (o - Q) Hch ltac:(lia)) as [LA LB]. replace o with (o - Q + Q) by lia.
          split; [apply (row_right A n P Q okA moves_A P_nonneg c (o - Q) LA)|
                  apply (row_right B n P Q okB moves_B P_nonneg c (o - Q) LB)].
    Qed.

    (** Theorem 2, second part: every joint row at n + P is a joint row at n, for all kernels at once, with the
        input index as it is or moved by P, the same for both sides. *)
    Theorem joint_rows_occur : forall n cut, criterion n cut -> forall c o, 0 <= c < channels ->
      0 <= o < extent A (n + P) -> exists o' t, 0 <= o' < extent A n /\ (t = 0 \/ t = P) /\
      forall W V (x : signal),
        finite mul W A (n + P) x c o = finite mul W A n (shift t x) c o' /\
        finite mul V B (n + P) x c o = finite mul V B n (shift t x) c o'.
    Proof.
      intros n cut [Hc [He [HR HL]]] c o Hch Ho. rewrite (extent_moves A n P Q okA moves_A) in Ho.
      pose proof (moves_nonneg A P Q okA moves_A P_nonneg) as HQ.
      destruct (Z_lt_ge_dec o cut) as [L|L].
      - destruct (HR c o Hch ltac:(lia)) as [RA RB]. exists o, 0. split; [lia|]. split; [auto|]. intros W V x.
        assert (S : forall w U, finite mul U w n (shift 0 x) c o = finite mul U w n x c o).
        { intros w U. revert c o Ho Hch HR HL RA RB L. clear. intros c o _ _ _ _ _ _ _. revert c o.
          induction w as [|s w IH]; intros c o; cbn.
          - unfold clip, shift. rewrite Z.add_0_r. reflexivity.
          - destruct s; cbn [bordered plain].
            + destruct (_ <? 0); [destruct (lo _); [apply IH|reflexivity]|].
              destruct (_ <? _); [apply IH|]. destruct (hi _); [apply IH|reflexivity].
            + apply sum_ext. intros. apply sum_ext. intros. rewrite IH. reflexivity.
            + apply IH.
            + destruct (_ =? _); [apply IH|reflexivity].
            + apply IH.
            + apply IH. }
        rewrite !S.
        split; [apply (row_left A n P Q okA moves_A P_nonneg c o RA)|
                apply (row_left B n P Q okB moves_B P_nonneg c o RB)].
      - destruct (HL c (o - Q) Hch ltac:(lia)) as [LA LB]. exists (o - Q), P. split; [lia|]. split; [auto|].
        intros W V x. replace o with (o - Q + Q) at 1 3 by lia.
        split; [apply (row_right A n P Q okA moves_A P_nonneg c (o - Q) LA)|
                apply (row_right B n P Q okB moves_B P_nonneg c (o - Q) LB)].
    Qed.

    (** The two words, with kernels W and V, are the same operator at extent n. *)
    Definition agree (W V : kernels) (n : Z) : Prop := forall (x : signal) c o,
      0 <= c < channels -> 0 <= o < extent A n -> finite mul W A n x c o = finite mul V B n x c o.

    (** Theorem 2 as the checker uses it: agreement at n* implies agreement at all n* + t P. *)
    Theorem cutoff : forall W V n cut, criterion n cut -> agree W V n ->
      forall t : nat, agree W V (n + Z.of_nat t * P).
    Proof.
      intros W V n cut Hc Ha.
      assert (G : forall t : nat, criterion (n + Z.of_nat t * P) cut /\ agree W V (n + Z.of_nat t * P)).
      { induction t as [|t [IHc IHa]]; [rewrite Z.mul_0_l, Z.add_0_r; auto|].
        replace (n + Z.of_nat (S t) * P) with (n + Z.of_nat t * P + P) by lia.
        split; [apply criterion_grows; exact IHc|]. intros x c o Hch Ho.
        destruct (joint_rows_occur _ cut IHc c o Hch Ho) as [o' [u [Ho' [_ E]]]].
        destruct (E W V x) as [-> ->]. apply IHa; assumption. }
      intros t. apply G.
    Qed.

    (** A residue class visited upwards from its first extent n until the criterion holds, after T periods: agreement
        at the visited extents is agreement at all extents of the class. *)
    Theorem cutoff_class : forall W V n (T : nat) cut, criterion (n + Z.of_nat T * P) cut ->
      (forall t : nat, (t <= T)%nat -> agree W V (n + Z.of_nat t * P)) ->
      forall t : nat, agree W V (n + Z.of_nat t * P).
    Proof.
      intros W V n T cut Hc Ha t. destruct (Compare_dec.le_lt_dec t T) as [L|L]; [apply Ha; exact L|].
      replace (n + Z.of_nat t * P) with (n + Z.of_nat T * P + Z.of_nat (t - T) * P) by lia.
      apply (cutoff W V _ cut Hc). apply Ha. lia.
    Qed.
  End Pair.
End Cutoff.
