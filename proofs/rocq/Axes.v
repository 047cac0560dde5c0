(** Claim 4 for whole layers: any number of axes, channels, groups and biases, with the channel order of periodic
    shuffling. *)

From Coq Require Import ZArith Lia List Bool.
From SymConv Require Import Sums Layers Shuffle Lowering.
Import ListNotations.
Open Scope Z_scope.

(** Hyper-parameters and input extent of a transposed convolution on one axis. *)
Record axis := { ax_k : Z; ax_s : Z; ax_d : Z; ax_pb : Z; ax_n : Z }.

Definition axis_ok (a : axis) : Prop := 0 < ax_s a /\ 0 < ax_d a.

(** The lowering of design: a = (-pb) mod s, P = (pb + a) / s, K = ceil((ke + a) / s). *)
Definition lr_align (a : axis) := (- ax_pb a) mod ax_s a.
Definition lr_shift (a : axis) := (ax_pb a + lr_align a) / ax_s a.
Definition lr_taps (a : axis) := ceil (ke (ax_k a) (ax_d a) + lr_align a) (ax_s a).
Definition strides (axes : list axis) : list Z := map ax_s axes.

(** The tap of the large kernel that stands at (phases, taps) of the low-resolution one; none where it is zero. *)
Fixpoint slots (axes : list axis) (phis us : list Z) : option (list Z) :=
  match axes, phis, us with
  | [], [], [] => Some []
  | a :: axes, phi :: phis, u :: us =>
    match universal_slot (ax_k a) (ax_s a) (ax_d a) (lr_align a) (lr_taps a) phi u with
    | Some j => match slots axes phis us with Some js => Some (j :: js) | None => None end
    | None => None
    end
  | _, _, _ => None
  end.

(** The phases that a channel index stands for. *)
Fixpoint digits (rs : list Z) (a : Z) : list Z :=
  match rs with [] => [] | r :: rs => (a / product rs) mod r :: digits rs a end.

Fixpoint remainders (rs os : list Z) : list Z :=
  match rs, os with r :: rs, o :: os => o mod r :: remainders rs os | _, _ => [] end.

Lemma digits_phase : forall rs c os, positive rs -> length os = length rs ->
  digits rs (c * product rs + phase rs os) = remainders rs os.
Proof.
  intros rs c os H. revert c os. induction H as [|r rs Hr H IH]; intros c [|o os] L; try discriminate; [reflexivity|].
  cbn. pose proof (product_positive rs H) as Hp. pose proof (phase_range rs os H) as Hph.
  replace (c * (r * product rs) + (o mod r * product rs + phase rs os))
    with ((c * r + o mod r) * product rs + phase rs os) by ring.
  rewrite IH by (cbn in L; lia). f_equal.
  rewrite Z.div_add_l, (Z.div_small (phase rs os)), Z.add_0_r by lia.
  rewrite Z.add_comm, Z.mod_add, Z.mod_mod by lia. reflexivity.
Qed.

Section Axes.
  Context {M : cmonoid}.

  (** The textbook sums on several axes: taps js and samples is are tuples, f js is stands for w[js] x[is]. *)
  Fixpoint convT_axes (axes : list axis) (f : list Z -> list Z -> M) (os : list Z) : M :=
    match axes, os with
    | a :: axes, o :: os =>
      convT (ax_k a) (ax_s a) (ax_d a) (ax_pb a) (ax_n a)
        (fun j i => convT_axes axes (fun js is => f (j :: js) (i :: is)) os) o
    | _, _ => f [] []
    end.

  (** The low-resolution convolution of the lowering: K taps, stride 1, pad K - 1 - P before. *)
  Fixpoint conv_axes (axes : list axis) (f : list Z -> list Z -> M) (qs : list Z) : M :=
    match axes, qs with
    | a :: axes, q :: qs =>
      conv (lr_taps a) 1 1 (lr_taps a - 1 - lr_shift a) (ax_n a)
        (fun u i => conv_axes axes (fun us is => f (u :: us) (i :: is)) qs) q
    | _, _ => f [] []
    end.

  Lemma convT_axes_ext : forall axes f g os, (forall js is, f js is = g js is) ->
    convT_axes axes f os = convT_axes axes g os.
  Proof.
    induction axes as [|a axes IH]; intros f g os H; cbn; [apply H|]. destruct os as [|o os]; [apply H|].
    apply convT_ext. intros j i _. apply IH. intros. apply H.
  Qed.

  Lemma conv_axes_ext : forall axes f g qs, (forall us is, f us is = g us is) ->
    conv_axes axes f qs = conv_axes axes g qs.
  Proof.
    induction axes as [|a axes IH]; intros f g qs H; cbn; [apply H|]. destruct qs as [|q qs]; [apply H|].
    apply conv_ext. intros u i _. apply IH. intros. apply H.
  Qed.

  Lemma conv_axes_zero : forall axes qs, conv_axes axes (fun _ _ => @zero M) qs = zero.
  Proof.
    induction axes as [|a axes IH]; intros qs; cbn; [reflexivity|]. destruct qs as [|q qs]; [reflexivity|].
    apply sum_zero. intros u _. destruct (inside _ _); [apply IH|reflexivity].
  Qed.

  (** The reshuffled kernel on several axes. *)
  Definition reshuffled_axes (axes : list axis) (phis : list Z) (f : list Z -> list Z -> M) (us is : list Z) : M :=
    match slots axes phis us with Some js => f js is | None => zero end.

  Theorem universal_lowering_axes : forall axes os (f : list Z -> list Z -> M),
    Forall axis_ok axes -> length os = length axes ->
    convT_axes axes f os =
    conv_axes axes (reshuffled_axes axes (remainders (strides axes) os) f) (coarse (strides axes) os).
  Proof.
    intros axes os f H. revert os f. induction H as [|a axes [Hs Hd] H IH]; intros [|o os] f L; try discriminate;
      [reflexivity|].
    cbn. rewrite universal_lowering by assumption. unfold shuffled. apply conv_ext. intros u i _.
    unfold reshuffled. fold (lr_align a). fold (lr_taps a).
    destruct (universal_slot _ _ _ _ _ _ _) as [j|] eqn:E.
    - rewrite IH by (cbn in L; lia). apply conv_axes_ext. intros us is. unfold reshuffled_axes. cbn. rewrite E.
      destruct (slots _ _ _); reflexivity.
    - rewrite <- (conv_axes_zero axes (coarse (strides axes) os)). apply conv_axes_ext. intros us is.
      unfold reshuffled_axes. cbn. rewrite E. reflexivity.
  Qed.

  (** ** Any operators that agree axis by axis agree on all axes *)

  (** One output sample of a one-axis operator, as a function of the products f j i. *)
  Definition sample := (Z -> Z -> M) -> M.
  Definition extensional (F : sample) := forall f g, (forall j i, f j i = g j i) -> F f = F g.

  Fixpoint on_axes (Fs : list sample) (f : list Z -> list Z -> M) : M :=
    match Fs with
    | [] => f [] []
    | F :: Fs => F (fun j i => on_axes Fs (fun js is => f (j :: js) (i :: is)))
    end.

  Theorem axis_by_axis : forall Fs Gs, Forall extensional Fs -> Forall2 (fun F G => forall f, F f = G f) Fs Gs ->
    forall f, on_axes Fs f = on_axes Gs f.
  Proof.
    intros Fs Gs E H. induction H as [|F G Fs Gs HF H IH]; intros f; cbn; [reflexivity|].
    inversion E as [|? ? EF E']; subst. rewrite <- HF. apply EF. intros j i. apply IH. exact E'.
  Qed.

  Theorem layers_extensional : forall k s d pb n o,
    extensional (fun f => conv k s d pb n f o) /\ extensional (fun f => convT k s d pb n f o).
  Proof. intros. split; intros f g H; [apply conv_ext|apply convT_ext]; auto. Qed.

  (** ** Layers *)

  Context {K : Type} (mul : K -> M -> M) (k0 : K) (mul_zero : forall x, mul k0 x = zero).

  (** PyTorch's ConvTranspose: weight (input channel, output channel in its group, taps); cin and cout are channels
      per group; b a bias a channel. *)
  Definition convT_layer (axes : list axis) (cin cout : Z) (w : Z -> Z -> list Z -> K) (b : Z -> M)
      (x : Z -> list Z -> M) (i : Z * list Z) : M :=
    let g := fst i / cout in
    plus (b (fst i)) (sum cin (fun c =>
      convT_axes axes (fun js is => mul (w (g * cin + c) (fst i mod cout) js) (x (g * cin + c) is)) (snd i))).

  (** PyTorch's Conv: weight (output channel, input channel in its group, taps). *)
  Definition lr_layer (axes : list axis) (cin cout : Z) (w : Z -> Z -> list Z -> K) (b : Z -> M)
      (x : Z -> list Z -> M) (i : Z * list Z) : M :=
    let g := fst i / cout in
    plus (b (fst i)) (sum cin (fun c =>
      conv_axes axes (fun us is => mul (w (fst i) c us) (x (g * cin + c) is)) (snd i))).

  (** The kernel reshuffle. Low-resolution channel ch is phase ch mod s^D of channel ch / s^D. *)
  Definition lr_weight (axes : list axis) (cin cout : Z) (w : Z -> Z -> list Z -> K) (ch c : Z) (us : list Z) : K :=
    let co := ch / product (strides axes) in
    match slots axes (digits (strides axes) ch) us with
    | Some js => w (co / cout * cin + c) (co mod cout) js
    | None => k0
    end.

  (** ConvTranspose = shuffle after a low-resolution convolution: the same groups, the bias repeated s^D times. *)
  Theorem universal_lowering_layer : forall axes cin cout w b x co os,
    Forall axis_ok axes -> length os = length axes -> 0 < cout ->
    let R := product (strides axes) in
    convT_layer axes cin cout w b x (co, os) =
    lr_layer axes cin (cout * R) (lr_weight axes cin cout w) (fun ch => b (ch / R)) x
      (shuffle_source (strides axes) (co, os)).
  Proof.
    intros axes cin cout w b x co os H L Hc R.
    assert (Hpos : positive (strides axes)).
    { unfold positive, strides. apply Forall_map. eapply Forall_impl; [|exact H]. intros a Ha. apply Ha. }
    assert (Ls : length os = length (strides axes)) by (unfold strides; rewrite map_length; exact L).
    pose proof (product_positive _ Hpos) as HR. fold R in HR.
    pose proof (phase_range _ os Hpos) as Hph. fold R in Hph.
    unfold convT_layer, lr_layer, shuffle_source. cbn [fst snd]. fold R.
    assert (E1 : (co * R + phase (strides axes) os) / R = co) by (rewrite Z.div_add_l, Z.div_small by lia; lia).
    assert (E2 : (co * R + phase (strides axes) os) / (cout * R) = co / cout).
    { rewrite (Z.mul_comm cout R), <- Z.div_div by lia. rewrite E1. reflexivity. }
    rewrite E1, E2. f_equal. apply sum_ext. intros c _.
    rewrite universal_lowering_axes by assumption. apply conv_axes_ext. intros us is.
    unfold reshuffled_axes, lr_weight. fold R. rewrite E1. unfold R. rewrite digits_phase by assumption.
    destruct (slots _ _ _); [reflexivity|]. symmetry. apply mul_zero.
  Qed.
End Axes.
