(** Claim 1: periodic shuffling is a permutation of samples; its inverse is its transpose is unshuffling.

    rs are the factors of the axes (PyTorch's PixelShuffle has them all equal to r), an index is a channel and one
    position an axis, and phases are row-major. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers.
Import ListNotations.
Open Scope Z_scope.

Fixpoint product (rs : list Z) : Z := match rs with [] => 1 | r :: rs => r * product rs end.

(** The phase of an output position, a mixed-radix number with the last axis the fastest. *)
Fixpoint phase (rs os : list Z) : Z :=
  match rs, os with r :: rs, o :: os => (o mod r) * product rs + phase rs os | _, _ => 0 end.

(** The low-resolution position of an output position, and back: [fine rs a qs] has the phase that a stands for. *)
Fixpoint coarse (rs os : list Z) : list Z :=
  match rs, os with r :: rs, o :: os => o / r :: coarse rs os | _, _ => [] end.

Fixpoint fine (rs : list Z) (a : Z) (qs : list Z) : list Z :=
  match rs, qs with r :: rs, q :: qs => (r * q + (a / product rs) mod r) :: fine rs a qs | _, _ => [] end.

(** Periodic shuffling, CRD: the output sample (c, os) is the input sample (c r^D + phase, os / r). *)
Definition shuffle_source (rs : list Z) (i : Z * list Z) : Z * list Z :=
  (fst i * product rs + phase rs (snd i), coarse rs (snd i)).

(** Unshuffling: its output sample (channel, qs) is the input sample (channel / r^D, r qs + phase). *)
Definition unshuffle_source (rs : list Z) (i : Z * list Z) : Z * list Z :=
  (fst i / product rs, fine rs (fst i) (snd i)).

(** DCR, the default of ONNX and TensorFlow: channel phase C + c. *)
Definition shuffle_source_dcr (C : Z) (rs : list Z) (i : Z * list Z) : Z * list Z :=
  (phase rs (snd i) * C + fst i, coarse rs (snd i)).

Definition unshuffle_source_dcr (C : Z) (rs : list Z) (i : Z * list Z) : Z * list Z :=
  (fst i mod C, fine rs (fst i / C) (snd i)).

Lemma Forall2_length : forall (A B : Type) (P : A -> B -> Prop) l l', Forall2 P l l' -> length l = length l'.
Proof. induction 1; cbn; congruence. Qed.

Definition positive (rs : list Z) := Forall (fun r => 0 < r) rs.

(** Indices of a tensor with C channels and extents ns. *)
Definition in_tensor (C : Z) (ns : list Z) (i : Z * list Z) : Prop :=
  0 <= fst i < C /\ Forall2 (fun n o => 0 <= o < n) ns (snd i).

Fixpoint times (rs ns : list Z) : list Z :=
  match rs, ns with r :: rs, n :: ns => r * n :: times rs ns | _, _ => [] end.

Lemma product_positive : forall rs, positive rs -> 0 < product rs.
Proof. induction 1; cbn; nia. Qed.

Lemma phase_range : forall rs os, positive rs -> 0 <= phase rs os < product rs.
Proof.
  intros rs os H. revert os. induction H as [|r rs Hr H IH]; intros os; [destruct os; cbn; lia|].
  destruct os as [|o os]; cbn.
  - pose proof (product_positive rs H). nia.
  - specialize (IH os). pose proof (Z.mod_pos_bound o r Hr). nia.
Qed.

Lemma coarse_fine : forall rs a qs, positive rs -> length qs = length rs -> coarse rs (fine rs a qs) = qs.
Proof.
  intros rs a qs H. revert qs. induction H as [|r rs Hr H IH]; intros [|q qs] L; try discriminate; [reflexivity|].
  cbn. rewrite IH by (cbn in L; lia). f_equal. rewrite (Z.mul_comm r q), Z.div_add_l by lia.
  rewrite (Z.div_small (_ mod r)) by (apply Z.mod_pos_bound; lia). lia.
Qed.

Lemma phase_fine : forall rs a qs, positive rs -> length qs = length rs ->
  phase rs (fine rs a qs) = a mod product rs.
Proof.
  intros rs a qs H. revert qs. induction H as [|r rs Hr H IH]; intros [|q qs] L; try discriminate; cbn.
  - symmetry. apply Z.mod_1_r.
  - rewrite IH by (cbn in L; lia). pose proof (product_positive rs H) as Hp.
    replace (r * q + (a / product rs) mod r) with ((a / product rs) mod r + q * r) by ring.
    rewrite Z.mod_add, Z.mod_mod by lia.
    rewrite (Z.mul_comm r (product rs)), Z.rem_mul_r by lia. lia.
Qed.

Lemma fine_coarse : forall rs c os, positive rs -> length os = length rs ->
  fine rs (c * product rs + phase rs os) (coarse rs os) = os.
Proof.
  intros rs c os H. revert c os. induction H as [|r rs Hr H IH]; intros c [|o os] L; try discriminate; [reflexivity|].
  cbn. pose proof (product_positive rs H) as Hp. pose proof (phase_range rs os H) as Hph. f_equal.
  - replace (c * (r * product rs) + (o mod r * product rs + phase rs os))
      with ((o mod r + c * r) * product rs + phase rs os) by ring.
    rewrite Z.div_add_l by lia. rewrite (Z.div_small (phase rs os)) by lia.
    rewrite Z.add_0_r, Z.mod_add, Z.mod_mod by lia. pose proof (Z.div_mod o r ltac:(lia)). lia.
  - replace (c * (r * product rs) + (o mod r * product rs + phase rs os))
      with ((c * r + o mod r) * product rs + phase rs os) by ring.
    apply IH. cbn in L. lia.
Qed.

Lemma coarse_range : forall rs ns os, positive rs -> length ns = length rs ->
  Forall2 (fun n o => 0 <= o < n) (times rs ns) os -> Forall2 (fun n o => 0 <= o < n) ns (coarse rs os).
Proof.
  intros rs ns os H. revert ns os.
  induction H as [|r rs Hr H IH]; intros [|n ns] os L F; try discriminate; cbn in *.
  - constructor.
  - inversion F; subst. cbn. constructor; [|apply IH; [lia|assumption]].
    match goal with |- 0 <= ?o / r < n => name_div o r; split; nia end.
Qed.

Lemma fine_range : forall rs ns a qs, positive rs -> length ns = length rs ->
  Forall2 (fun n o => 0 <= o < n) ns qs -> Forall2 (fun n o => 0 <= o < n) (times rs ns) (fine rs a qs).
Proof.
  intros rs ns a qs H. revert ns qs.
  induction H as [|r rs Hr H IH]; intros [|n ns] qs L F; try discriminate; cbn in *.
  - constructor.
  - inversion F; subst. constructor; [|apply IH; [lia|assumption]].
    pose proof (Z.mod_pos_bound (a / product rs) r Hr). nia.
Qed.

(** Periodic shuffling is a bijection from the samples of (C, r ns) to those of (C r^D, ns), unshuffling its inverse,
    on any number of axes. *)
Theorem shuffle_bijection : forall C rs ns i, positive rs -> length ns = length rs ->
  in_tensor C (times rs ns) i ->
  in_tensor (C * product rs) ns (shuffle_source rs i) /\ unshuffle_source rs (shuffle_source rs i) = i.
Proof.
  intros C rs ns [c os] H L [Hc Ho]. cbn in *.
  pose proof (phase_range rs os H) as Hph. pose proof (product_positive rs H) as Hp.
  assert (Lo : length os = length rs).
  { apply Forall2_length in Ho. rewrite <- Ho. clear - L. revert ns L.
    induction rs; intros [|n ns] L; try discriminate; cbn in *; [reflexivity|]. rewrite IHrs; lia. }
  split.
  - split; cbn; [nia|]. apply coarse_range; assumption.
  - unfold unshuffle_source, shuffle_source. cbn. rewrite fine_coarse by assumption. f_equal.
    rewrite Z.div_add_l, Z.div_small by lia. lia.
Qed.

Theorem unshuffle_bijection : forall C rs ns i, positive rs -> length ns = length rs ->
  in_tensor (C * product rs) ns i ->
  in_tensor C (times rs ns) (unshuffle_source rs i) /\ shuffle_source rs (unshuffle_source rs i) = i.
Proof.
  intros C rs ns [ch qs] H L [Hc Hq]. cbn in *. pose proof (product_positive rs H) as Hp.
  assert (Lq : length qs = length rs) by (apply Forall2_length in Hq; lia).
  split.
  - split; cbn; [|apply fine_range; assumption]. name_div ch (product rs). split; nia.
  - unfold unshuffle_source, shuffle_source. cbn. rewrite coarse_fine, phase_fine by assumption. f_equal.
    pose proof (Z.div_mod ch (product rs) ltac:(lia)). lia.
Qed.

(** The inverse is the transpose: the permutation matrices have a one at (out, in) and at (in, out). *)
Theorem shuffle_transpose : forall C rs ns out inp, positive rs -> length ns = length rs ->
  in_tensor C (times rs ns) out -> in_tensor (C * product rs) ns inp ->
  (shuffle_source rs out = inp <-> unshuffle_source rs inp = out).
Proof.
  intros C rs ns out inp H L Ho Hi. split; intros <-.
  - apply (shuffle_bijection C rs ns); assumption.
  - apply (unshuffle_bijection C rs ns); assumption.
Qed.

Theorem shuffle_dcr_bijection : forall C rs ns, 0 < C -> positive rs -> length ns = length rs ->
  (forall i, in_tensor C (times rs ns) i ->
     in_tensor (C * product rs) ns (shuffle_source_dcr C rs i) /\
     unshuffle_source_dcr C rs (shuffle_source_dcr C rs i) = i) /\
  (forall i, in_tensor (C * product rs) ns i ->
     in_tensor C (times rs ns) (unshuffle_source_dcr C rs i) /\
     shuffle_source_dcr C rs (unshuffle_source_dcr C rs i) = i).
Proof.
  intros C rs ns HC H L. pose proof (product_positive rs H) as Hp. split; intros [c os] [Hc Ho]; cbn in *.
  - pose proof (phase_range rs os H) as Hph.
    assert (Lo : length os = length rs).
    { apply Forall2_length in Ho. rewrite <- Ho. clear - L. revert ns L.
      induction rs; intros [|n ns] L; try discriminate; cbn in *; [reflexivity|]. rewrite IHrs; lia. }
    split; [split; cbn; [nia|apply coarse_range; assumption]|].
    unfold unshuffle_source_dcr, shuffle_source_dcr. cbn. f_equal.
    + rewrite Z.add_comm, Z.mod_add, Z.mod_small by lia. reflexivity.
    + rewrite Z.div_add_l, Z.div_small, Z.add_0_r by lia.
      rewrite <- (fine_coarse rs 0 os H Lo) at 3. rewrite Z.mul_0_l, Z.add_0_l. reflexivity.
  - assert (Lq : length os = length rs) by (apply Forall2_length in Ho; lia).
    name_div c C. split; [split; cbn; [lia|apply fine_range; assumption]|].
    unfold unshuffle_source_dcr, shuffle_source_dcr. cbn. rewrite coarse_fine, phase_fine by assumption. f_equal.
    rewrite Z.mod_small by (split; nia). lia.
Qed.

(** As operators on signals. *)
Theorem unshuffle_shuffle : forall (T : Type) C rs ns (x : Z * list Z -> T) i, positive rs ->
  length ns = length rs -> in_tensor (C * product rs) ns i ->
  let y := fun o => x (shuffle_source rs o) in y (unshuffle_source rs i) = x i.
Proof.
  intros T C rs ns x i H L Hi y. unfold y. rewrite (proj2 (unshuffle_bijection C rs ns i H L Hi)). reflexivity.
Qed.

(** ** Two printed channel formulas that are no permutations, on two axes (x, y) *)

Definition printed_variant_1 (r c x y : Z) := (c * r * (y mod r) + c * (x mod r), x / r, y / r).
Definition printed_variant_2 (C r c x y : Z) := (C * r * (y mod r) + C * r * (x mod r) + c, x / r, y / r).

(** Channels counted from 0: all phases of channel 0 collide. *)
Theorem printed_variant_1_not_injective : forall r, 2 <= r ->
  printed_variant_1 r 0 0 0 = printed_variant_1 r 0 1 0.
Proof. intros r Hr. unfold printed_variant_1. rewrite !Z.div_small by lia. reflexivity. Qed.

(** Channels counted from 1: from two channels on, (1, 2) and (2, 1) collide when r >= 3, and for r = 2 the samples
    (c, x, y) = (1, 0, 1) and (2, 1, 0). *)
Theorem printed_variant_1_not_injective_from_1 : forall r, 2 <= r -> exists x y,
  0 <= x < r /\ 0 <= y < r /\ (x, y) <> (1, 0) /\ printed_variant_1 r 1 x y = printed_variant_1 r 2 1 0.
Proof.
  intros r Hr. destruct (Z.eq_dec r 2) as [->|N].
  - exists 0, 1. repeat split; try lia; try congruence.
  - exists 2, 0. repeat split; try lia; try congruence.
    unfold printed_variant_1. rewrite !Z.mod_small, !Z.div_small by lia. f_equal. f_equal. ring.
Qed.

(** The phases (1, 0) and (0, 1) of every channel collide. *)
Theorem printed_variant_2_not_injective : forall C r c, 2 <= r ->
  printed_variant_2 C r c 1 0 = printed_variant_2 C r c 0 1.
Proof.
  intros C r c Hr. unfold printed_variant_2.
  rewrite !Z.div_small, (Z.mod_small 1), (Z.mod_small 0) by lia. f_equal. f_equal. ring.
Qed.
