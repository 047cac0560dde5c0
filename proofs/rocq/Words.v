(** One-axis words: what every layer is made of, on finite and on bi-infinite signals. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers.
Import ListNotations.
Open Scope Z_scope.

(** Steps. A signal has a channel and a position.

    [Extend b e lo hi]: b samples more before and e after (fewer, where negative). A read at p < 0 becomes one at q if
    lo p = Some q and zero if lo p = None; a read at m + p, m the extent, p >= 0, becomes one at m + q if hi p = Some q.
    [Correlate a C k d]: taps of the kernel named a from C channels, dilation d.
    [Join f g]: shuffling; phase phi of output channel c is input channel g c phi.
    [Split f h g]: unshuffling; output channel c is phase g c of input channel h c. *)
Inductive step :=
  | Extend (b e : Z) (lo hi : Z -> option Z)
  | Correlate (a : nat) (C k d : Z)
  | Decimate (f : Z)
  | Expand (f : Z)
  | Join (f : Z) (g : Z -> Z -> Z)
  | Split (f : Z) (h g : Z -> Z).

(** Padding modes. *)
Definition none (_ : Z) : option Z := None.
Definition zeros b e := Extend b e none none.
Definition replicate b e := Extend b e (fun _ => Some 0) (fun _ => Some (-1)).
Definition reflect b e := Extend b e (fun p => Some (- p)) (fun p => Some (- 2 - p)).

(** A word; its head is the step applied last. *)
Definition word := list step.

Definition step_ok (s : step) : Prop :=
  match s with
  | Decimate f | Expand f | Join f _ | Split f _ _ => 0 < f
  | Correlate _ _ k d => 1 <= k /\ 1 <= d
  | Extend _ _ _ _ => True
  end.

Definition word_ok (w : word) : Prop := Forall step_ok w.

Fixpoint extent (w : word) (n : Z) : Z :=
  match w with
  | [] => n
  | Extend b e _ _ :: w => extent w n + b + e
  | Correlate _ _ k d :: w => extent w n - d * (k - 1)
  | Decimate f :: w => (extent w n - 1) / f + 1
  | Expand f :: w => (extent w n - 1) * f + 1
  | Join f _ :: w => extent w n * f
  | Split f _ _ :: w => extent w n / f
  end.

(** Moving the input by P samples moves the output by Q, if all divisions come out even. *)
Fixpoint moves (w : word) (P : Z) : option Z :=
  match w with
  | [] => Some P
  | s :: w =>
    match moves w P with
    | None => None
    | Some v =>
      match s with
      | Extend _ _ _ _ | Correlate _ _ _ _ => Some v
      | Decimate f | Split f _ _ => if v mod f =? 0 then Some (v / f) else None
      | Expand f | Join f _ => Some (f * v)
      end
    end
  end.

(** The convolutions of Layers.v are words; extents. *)
Definition conv_word a C k s d pb pe : word := [Decimate s; Correlate a C k d; zeros pb pe].
Definition convT_word a C k s d pb pe op : word :=
  [Correlate a C k d; zeros (d * (k - 1) - pb) (d * (k - 1) - pe + op); Expand s].

Lemma conv_word_extent : forall a C k s d pb pe n,
  extent (conv_word a C k s d pb pe) n = conv_extent k s d pb pe n.
Proof. intros. cbn. unfold conv_extent, ke. do 2 f_equal. lia. Qed.

Lemma convT_word_extent : forall a C k s d pb pe op n,
  extent (convT_word a C k s d pb pe op) n = convT_extent k s d pb pe op n.
Proof. intros. cbn. unfold convT_extent, ke. lia. Qed.

Section Meaning.
  (** Signals take values in a module over the weights. *)
  Context {M : cmonoid} {K : Type} (mul : K -> M -> M).
  Context (mul_zero : forall a, mul a zero = zero).

  Definition signal := Z -> Z -> M.
  (** A kernel for every name: output channel, input channel, tap. *)
  Definition kernels := nat -> Z -> Z -> Z -> K.

  Definition clip (n : Z) (x : signal) : signal := fun c o => if inside n o then x c o else zero.
  Definition shift (P : Z) (x : signal) : signal := fun c o => x c (o + P).

  (** What a step does where no border is near. *)
  Definition plain (W : kernels) (s : step) (x : signal) : signal := fun c o =>
    match s with
    | Extend b _ _ _ => x c (o - b)
    | Correlate a C k d => sum C (fun i => sum k (fun j => mul (W a c i j) (x i (o + d * j))))
    | Decimate f => x c (f * o)
    | Expand f => if o mod f =? 0 then x c (o / f) else zero
    | Join f g => x (g c (o mod f)) (o / f)
    | Split f h g => x (h c) (f * o + g c mod f)
    end.

  (** On a signal of extent m. *)
  Definition bordered (W : kernels) (m : Z) (s : step) (x : signal) : signal := fun c o =>
    match s with
    | Extend b _ lo hi =>
      let p := o - b in
      if p <? 0 then match lo p with Some q => x c q | None => zero end
      else if p <? m then x c p
      else match hi (p - m) with Some q => x c (m + q) | None => zero end
    | s => plain W s x c o
    end.

  (** The word on signals of extent n, and on bi-infinite ones. *)
  Fixpoint finite (W : kernels) (w : word) (n : Z) (x : signal) : signal :=
    match w with [] => clip n x | s :: w => bordered W (extent w n) s (finite W w n x) end.

  Fixpoint infinite (W : kernels) (w : word) (x : signal) : signal :=
    match w with [] => x | s :: w => plain W s (infinite W w x) end.
End Meaning.
