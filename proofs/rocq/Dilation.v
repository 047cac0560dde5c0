(** Claim 11: under dilation only min(k, s / gcd(d, s)) phases of a transposed convolution are nonzero. *)

From Coq Require Import ZArith Lia List Bool Znumtheory.
From SymConv Require Import Sums Layers Lowering.
Import ListNotations.
Open Scope Z_scope.

(** Some tap reaches the output samples congruent to phi mod s. *)
Definition phase_hit (k s d pb phi : Z) : Prop := exists j, 0 <= j < k /\ (d * j - pb) mod s = phi.

(** Two taps reach the same phase iff they are congruent modulo s / gcd(d, s). *)
Lemma same_phase : forall s d pb j j', 0 < s -> 0 < d ->
  ((d * j - pb) mod s = (d * j' - pb) mod s <-> (s / Z.gcd d s | j - j')).
Proof.
  intros s d pb j j' Hs Hd. set (g := Z.gcd d s).
  assert (Hg : 0 < g).
  { pose proof (Z.gcd_nonneg d s). assert (g <> 0); [|unfold g in *; lia].
    intros E. apply Z.gcd_eq_0_r in E. lia. }
  destruct (Z.gcd_divide_l d s) as [d' Ed]. destruct (Z.gcd_divide_r d s) as [s' Es]. fold g in Ed, Es.
  assert (Hs' : s / g = s') by (rewrite Es at 1; apply Z.div_mul; lia). rewrite Hs'.
  assert (Hc : Z.gcd s' d' = 1).
  { rewrite Z.gcd_comm. apply (Z.mul_reg_r _ _ g); [lia|]. rewrite Z.mul_1_l.
    rewrite <- (Z.abs_eq g) at 1 by lia. rewrite <- Z.gcd_mul_mono_r, <- Ed, <- Es. reflexivity. }
  transitivity (s | d * (j - j')).
  - split; intros H.
    + apply Z.mod_divide; [lia|]. replace (d * (j - j')) with ((d * j - pb) - (d * j' - pb)) by ring.
      rewrite Zminus_mod, H, Z.sub_diag. apply Z.mod_0_l. lia.
    + destruct H as [c Hc']. replace (d * j - pb) with (d * j' - pb + c * s) by lia. apply Z.mod_add. lia.
  - split; intros [c H].
    + apply (Z.gauss s' d' (j - j')); [|exact Hc]. exists c.
      apply (Z.mul_reg_r _ _ g); [lia|]. rewrite Ed, Es in H. nia.
    + exists (c * d'). rewrite Ed, Es. rewrite H. ring.
Qed.

(** The nonzero phases are listed without repetition, and their number is min(k, s / gcd(d, s)). *)
Theorem phase_count : forall k s d pb, 0 < s -> 0 < d -> 0 <= k ->
  exists phases : list Z,
    NoDup phases /\ Z.of_nat (length phases) = Z.min k (s / Z.gcd d s) /\
    forall phi, In phi phases <-> phase_hit k s d pb phi.
Proof.
  intros k s d pb Hs Hd Hk.
  set (s' := s / Z.gcd d s).
  assert (Hs' : 0 < s').
  { destruct (Z.gcd_divide_r d s) as [x Ex]. pose proof (Z.gcd_nonneg d s).
    assert (Z.gcd d s <> 0) by (intros E; rewrite E in Ex; lia).
    unfold s'. rewrite Ex at 1. rewrite Z.div_mul by lia. nia. }
  set (N := Z.to_nat (Z.min k s')).
  exists (map (fun j => (d * Z.of_nat j - pb) mod s) (seq 0 N)). split; [|split].
  - assert (G : forall len start, (start + len <= N)%nat ->
      NoDup (map (fun j => (d * Z.of_nat j - pb) mod s) (seq start len))).
    { induction len as [|len IH]; intros start Hl; cbn; constructor; [|apply IH; lia].
      intros Hin. apply in_map_iff in Hin. destruct Hin as [j [E Hj]]. apply in_seq in Hj.
      apply same_phase in E; [|lia|lia]. fold s' in E. apply Z.divide_pos_le in E; lia. }
    apply G. lia.
  - rewrite map_length, seq_length. unfold N. lia.
  - intros phi. rewrite in_map_iff. split.
    + intros [j [E Hj]]. apply in_seq in Hj. exists (Z.of_nat j). split; [lia|exact E].
    + intros [j [Hj E]]. exists (Z.to_nat (j mod s')).
      pose proof (Z.mod_pos_bound j s' Hs'). pose proof (Z.mod_le j s' ltac:(lia) Hs'). split.
      * rewrite <- E, Z2Nat.id by lia. apply same_phase; [lia|lia|]. fold s'.
        exists (- (j / s')). pose proof (Z.div_mod j s' ltac:(lia)). lia.
      * apply in_seq. unfold N. lia.
Qed.

Section Zero.
  Context {M : cmonoid}.

  (** On every other phase the output is identically zero, whatever the kernel, the input and the extent. *)
  Theorem phase_not_hit_zero : forall k s d pb n (f : Z -> Z -> M) o, 0 < s ->
    ~ phase_hit k s d pb (o mod s) -> convT k s d pb n f o = zero.
  Proof.
    intros k s d pb n f o Hs H. apply sum_zero. intros i Hi. apply sum_zero. intros j Hj.
    destruct (Z.eqb_spec (s * i + d * j) (o + pb)) as [E|E]; [|reflexivity].
    exfalso. apply H. exists j. split; [lia|].
    replace o with (d * j - pb + i * s) by lia. symmetry. apply Z.mod_add. lia.
  Qed.

  (** On a phase that is hit, a kernel that is nowhere zero makes some output sample nonzero. *)
  Theorem phase_hit_nonzero : forall k s d pb pe op phi (w : Z -> M), 0 < s -> 0 < d ->
    (forall j, 0 <= j < k -> w j <> zero) -> phase_hit k s d pb phi ->
    exists n i o, 0 <= i < n /\ 0 <= o < convT_extent k s d pb pe op n /\ o mod s = phi /\
                  convT k s d pb n (column i w) o <> zero.
  Proof.
    intros k s d pb pe op phi w Hs Hd Hw [j [Hj E]].
    set (i := Z.abs pb). set (n := i + 1 + Z.abs pe + Z.abs op). exists n, i, (d * j - pb + i * s).
    assert (Hi : 0 <= i < n) by (unfold n, i; lia). split; [exact Hi|]. split; [|split].
    - unfold convT_extent, ke, n. split; [unfold i; nia|].
      assert (s * (i + Z.abs pe + Z.abs op) >= s * i + Z.abs pe + Z.abs op) by nia.
      assert (d * j <= d * (k - 1)) by nia. lia.
    - rewrite Z.mod_add by lia. exact E.
    - rewrite convT_entry by exact Hi. rewrite (sum_single M k _ j Hj).
      + replace (s * i + d * j =? d * j - pb + i * s + pb) with true by (symmetry; apply Z.eqb_eq; lia). auto.
      + intros j' _ Hne. destruct (Z.eqb_spec (s * i + d * j') (d * j - pb + i * s + pb)); [|reflexivity].
        exfalso. apply Hne. nia.
  Qed.
End Zero.

(** d = s = 2: one phase in two on each axis, so three quarters of a two-axis output are zero. *)
Example phases_d2_s2 : Z.min 3 (2 / Z.gcd 2 2) = 1.
Proof. reflexivity. Qed.
