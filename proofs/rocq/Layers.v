(** What the layers are, on one axis.

    n input extent, k kernel size, s stride, d dilation, pb and pe padding before and after (negative: a crop), op
    output padding.  A signal of extent n is read at 0 <= i < n and is zero elsewhere.  The product w[j] x[i] is
    written f j i: f is any function into any commutative monoid. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums.
Open Scope Z_scope.

(** Effective kernel size, and division rounded up. *)
Definition ke (k d : Z) := d * (k - 1) + 1.
Definition ceil (a b : Z) := - ((- a) / b).

Definition inside (n p : Z) : bool := (0 <=? p) && (p <? n).

Definition conv_extent (k s d pb pe n : Z) := (n + pb + pe - ke k d) / s + 1.
Definition convT_extent (k s d pb pe op n : Z) := (n - 1) * s + ke k d + op - pb - pe.

(** The tap that stands at position t of the kernel after zero insertion by d. *)
Definition tap (k d t : Z) : option Z :=
  if (t mod d =? 0) && inside k (t / d) then Some (t / d) else None.

Section Layers.
  Context {M : cmonoid}.

  (** y[o] = sum_j w[j] x~[s o + d j - pb] *)
  Definition conv (k s d pb n : Z) (f : Z -> Z -> M) (o : Z) : M :=
    sum k (fun j => if inside n (s * o + d * j - pb) then f j (s * o + d * j - pb) else zero).

  (** y[o] = sum over s i + d j = o + pb of w[j] x[i] *)
  Definition convT (k s d pb n : Z) (f : Z -> Z -> M) (o : Z) : M :=
    sum n (fun i => sum k (fun j => if s * i + d * j =? o + pb then f j i else zero)).

  (** A kernel with a tap at u only where [slot u] names one. *)
  Definition reshuffled (slot : Z -> option Z) (f : Z -> Z -> M) (u i : Z) : M :=
    match slot u with Some j => f j i | None => zero end.

  (** A periodic shuffling by s of what the family of kernels [slot phase] gives: y[s q + phase] = y_phase[q]. *)
  Definition shuffled (s : Z) (y : Z -> Z -> M) (o : Z) : M := y (o mod s) (o / s).

  Lemma conv_entries : forall k s d pb n f o,
    conv k s d pb n f o = sum n (fun i => sum k (fun j => if i =? s * o + d * j - pb then f j i else zero)).
  Proof.
    intros. rewrite sum_swap. apply sum_ext. intros j Hj.
    apply (sum_read M n (fun i => f j i) (s * o + d * j - pb)).
  Qed.

  Lemma tap_some : forall k d t j, 0 < d -> tap k d t = Some j <-> 0 <= j < k /\ d * j = t.
  Proof.
    intros k d t j Hd. unfold tap, inside. split.
    - destruct ((t mod d =? 0) && ((0 <=? t / d) && (t / d <? k))) eqn:E; [|discriminate].
      intros H. injection H as <-. bools. split; [lia|]. pose proof (Z.div_mod t d ltac:(lia)). lia.
    - intros [Hj <-]. rewrite (Z.mul_comm d j), Z.mod_mul, Z.div_mul by lia.
      destruct (0 <=? j) eqn:A; destruct (j <? k) eqn:B; cbn; try reflexivity; exfalso.
      + apply Z.ltb_ge in B. lia.
      + apply Z.leb_gt in A. lia.
      + apply Z.leb_gt in A. lia.
  Qed.

  Lemma tap_sum : forall k d t (h : Z -> M), 0 < d ->
    match tap k d t with Some j => h j | None => zero end = sum k (fun j => if d * j =? t then h j else zero).
  Proof.
    intros k d t h Hd. destruct (tap k d t) as [j|] eqn:E.
    - apply tap_some in E; [|lia]. destruct E as [Hj E]. rewrite (sum_single M k _ j Hj).
      + apply Z.eqb_eq in E. rewrite E. reflexivity.
      + intros j' _ Hne. destruct (Z.eqb_spec (d * j') t); [exfalso; apply Hne; nia|reflexivity].
    - symmetry. apply sum_zero. intros j Hj. destruct (Z.eqb_spec (d * j) t); [|reflexivity].
      exfalso. assert (H : tap k d t = Some j) by (apply tap_some; auto). congruence.
  Qed.

  Lemma conv_ext : forall k s d pb n f g o, (forall j i, 0 <= i < n -> f j i = g j i) ->
    conv k s d pb n f o = conv k s d pb n g o.
  Proof.
    intros. apply sum_ext. intros j _. destruct (inside n _) eqn:E; [|reflexivity].
    apply H. unfold inside in E. bools. lia.
  Qed.

  Lemma convT_ext : forall k s d pb n f g o, (forall j i, 0 <= i < n -> f j i = g j i) ->
    convT k s d pb n f o = convT k s d pb n g o.
  Proof. intros. apply sum_ext. intros. apply sum_ext. intros. rewrite H by lia. reflexivity. Qed.

  (** Every read of an output sample in range lies within the padded, or cropped, input: a negative padding never
      hides a sample that the sum above would use. *)
  Lemma conv_reads_padded : forall k s d pb pe n o j, 0 < s -> 0 < d -> 0 <= j < k ->
    0 <= o < conv_extent k s d pb pe n -> - pb <= s * o + d * j - pb < n + pe.
  Proof.
    unfold conv_extent, ke. intros k s d pb pe n o j Hs Hd Hj Ho.
    pose proof (Z.mul_div_le (n + pb + pe - (d * (k - 1) + 1)) s Hs). nia.
  Qed.
End Layers.

Lemma ceil_spec : forall a b, 0 < b -> a <= b * ceil a b < a + b.
Proof.
  intros a b Hb. unfold ceil. pose proof (Z.div_mod (- a) b ltac:(lia)).
  pose proof (Z.mod_pos_bound (- a) b Hb). lia.
Qed.

Lemma ceil_least : forall a b c, 0 < b -> (ceil a b <= c <-> a <= b * c).
Proof. intros a b c Hb. pose proof (ceil_spec a b Hb). split; intros; nia. Qed.

Lemma quotient_remainder : forall r i b p, 0 <= b < r -> r * i + b = p -> i = p / r /\ b = p mod r.
Proof.
  intros r i b p Hb <-. rewrite (Z.mul_comm r i), Z.div_add_l, Z.div_small by lia.
  replace (i * r + b) with (b + i * r) by ring. rewrite Z.mod_add, Z.mod_small by lia. lia.
Qed.

(** Names a quotient and a remainder: afterwards linear arithmetic suffices. *)
Ltac name_div a b := pose proof (Z.div_mod a b ltac:(lia)); pose proof (Z.mod_pos_bound a b ltac:(lia)).
