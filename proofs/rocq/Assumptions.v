(** Prints the assumptions of every theorem; each must be closed under the global context. *)

From SymConv Require Import
  Sums Layers Shuffle Lowering Axes ZeroInsertion Transpose HighResolution
  Dilation Factorization Words Windows Cutoff Meaning.

(* Shuffle.v *)
Print Assumptions shuffle_bijection.
Print Assumptions unshuffle_bijection.
Print Assumptions shuffle_transpose.
Print Assumptions shuffle_dcr_bijection.
Print Assumptions unshuffle_shuffle.
Print Assumptions printed_variant_1_not_injective.
Print Assumptions printed_variant_1_not_injective_from_1.
Print Assumptions printed_variant_2_not_injective.

(* Lowering.v *)
Print Assumptions lowering_general.
Print Assumptions universal_lowering.
Print Assumptions universal_lowering_extent.
Print Assumptions two_sided_lowering.
Print Assumptions two_sided_lowering_extent.
Print Assumptions lowering_exactly_when.
Print Assumptions no_crop_extent.
Print Assumptions note_form.
Print Assumptions note_form_exactly_when.
Print Assumptions note_reshuffle_bijection.
Print Assumptions least_taps_bound.
Print Assumptions least_taps_attained.

(* Axes.v *)
Print Assumptions universal_lowering_axes.
Print Assumptions axis_by_axis.
Print Assumptions layers_extensional.
Print Assumptions universal_lowering_layer.

(* ZeroInsertion.v *)
Print Assumptions zero_insertion_general.
Print Assumptions zero_insertion_extent.
Print Assumptions sub_pixel_convolution.

(* Transpose.v *)
Print Assumptions transpose_entries.
Print Assumptions transpose_adjoint.
Print Assumptions transpose_extent.

(* HighResolution.v *)
Print Assumptions hr_convolution_is_lr.
Print Assumptions hr_extent.
Print Assumptions hr_taps_bound.

(* Dilation.v *)
Print Assumptions phase_count.
Print Assumptions phase_not_hit_zero.
Print Assumptions phase_hit_nonzero.

(* Factorization.v *)
Print Assumptions reshuffle_sound.
Print Assumptions reshuffle_complete.
Print Assumptions annihilator_refutes.
Print Assumptions factorization_two.
Print Assumptions factorization.

(* Windows.v *)
Print Assumptions windows.
Print Assumptions windows_unpadded.
Print Assumptions infinite_shift.
Print Assumptions windowed_agreement.

(* Cutoff.v *)
Print Assumptions row_left.
Print Assumptions row_right.
Print Assumptions criterion_grows.
Print Assumptions joint_rows_occur.
Print Assumptions cutoff.
Print Assumptions cutoff_class.

(* Meaning.v *)
Print Assumptions conv_word_meaning.
Print Assumptions convT_word_meaning.
