(** Prints the assumptions of every main theorem; each must be closed under the global context. *)

From SymConv Require Import Sums Layers Shuffle Lowering ZeroInsertion Transpose HighResolution Dilation.

Print Assumptions shuffle_bijection.
Print Assumptions unshuffle_bijection.
Print Assumptions shuffle_transpose.
Print Assumptions shuffle_dcr_bijection.
Print Assumptions unshuffle_shuffle.
Print Assumptions printed_variant_1_not_injective.
Print Assumptions printed_variant_1_not_injective_from_1.
Print Assumptions printed_variant_2_not_injective.
Print Assumptions transpose_entries.
Print Assumptions transpose_adjoint.
Print Assumptions transpose_extent.
Print Assumptions zero_insertion_general.
Print Assumptions zero_insertion_extent.
Print Assumptions sub_pixel_convolution.
Print Assumptions lowering_general.
Print Assumptions lowering_exactly_when.
Print Assumptions universal_lowering.
Print Assumptions universal_lowering_extent.
Print Assumptions two_sided_lowering.
Print Assumptions two_sided_lowering_extent.
Print Assumptions no_crop_extent.
Print Assumptions note_form.
Print Assumptions note_form_exactly_when.
Print Assumptions note_reshuffle_bijection.
Print Assumptions least_taps_bound.
Print Assumptions least_taps_attained.
Print Assumptions phase_count.
Print Assumptions phase_not_hit_zero.
Print Assumptions phase_hit_nonzero.
Print Assumptions hr_convolution_is_lr.
Print Assumptions hr_extent.
Print Assumptions hr_taps_bound.
