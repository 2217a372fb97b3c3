"""The only place that checks and converts what users pass, one module a subject. Kernels trust what comes out of here.

Others import a check from here by its name, whichever module it stands in. May import: `kernels`, `runtime`.
"""

# ruff: noqa: F401  (all that is imported here is for others)

from fastsoftmax.validation.arrays import (
    as_array,
    as_class_probabilities,
    as_class_targets,
    as_logits,
    as_real_array,
    as_weights_like,
    check_axes,
    check_out,
)
from fastsoftmax.validation.catalogue import check_catalogue, check_popularity, check_predicted
from fastsoftmax.validation.classes import (
    check_all_labels,
    check_classes,
    check_new_classes,
    check_not_ignored,
    check_stored_classes,
    encode_labels,
    learn_classes,
    padding,
)
from fastsoftmax.validation.coefficients import check_coefficients, loss_of_linear
from fastsoftmax.validation.command import (
    check_acts_on,
    check_acts_on_texts,
    check_buckets_option,
    check_checkpoint_options,
    check_data_of_ranks,
    check_format_of,
    check_has_method,
    check_needs,
    check_one_file,
    check_one_rank,
    check_propensity_options,
    check_reads_once,
    check_same_kind,
    check_sampling_options,
    check_shtab,
    check_validation_file,
)
from fastsoftmax.validation.compact import (
    check_can_screen,
    check_compact,
    check_not_compact,
    check_one_way,
    check_usearch,
)
from fastsoftmax.validation.documents import (
    check_chunk,
    check_discounts,
    check_documents,
    check_label_columns,
    check_repeatable,
    check_same_rows,
    check_source,
    check_subword_lengths,
    check_texts,
)
from fastsoftmax.validation.eligible import check_eligible, check_k, check_threshold
from fastsoftmax.validation.encoding import (
    check_are_texts,
    check_reads,
    check_vectorizer,
    misfits,
)
from fastsoftmax.validation.estimators import (
    check_input,
    check_input_rows,
    check_nested_params,
    check_stored_names,
    check_y_given,
    feature_names,
)
from fastsoftmax.validation.event_tables import (
    check_blocks_learn,
    check_event_table,
    check_has_no_stream,
    check_item_count,
    check_needs_no_table,
    check_side,
    check_some_items,
    is_event_table,
)
from fastsoftmax.validation.explaining import (
    check_explained_labels,
    check_feature_names,
    check_known_label,
)
from fastsoftmax.validation.exporting import (
    check_exported,
    check_exported_columns,
    check_exported_labels,
    check_exported_options,
    check_exported_output,
    check_exported_size,
    check_exported_topk,
    check_exported_words,
    check_opset,
)
from fastsoftmax.validation.foreign import as_known, result_like
from fastsoftmax.validation.label_lists import LabelLists, indicator
from fastsoftmax.validation.labels import as_text_array, check_ignore_label, check_labels, family
from fastsoftmax.validation.language import (
    check_context,
    check_drawing,
    check_history,
    check_item_of_text,
    check_mixture_weights,
    check_ngram_tables,
    check_some_sentences,
    check_stored,
    check_text,
    check_token,
    check_vocabulary,
)
from fastsoftmax.validation.linear import (
    check_bias,
    check_grad_loss,
    check_gradients_out,
    check_lse,
    check_no_second_bias,
    check_return_grad,
    check_sparse_grad,
    check_sparse_W,
    check_W,
    check_X,
)
from fastsoftmax.validation.masses import (
    balanced_weights,
    check_class_counts,
    check_class_weight_param,
    check_column_labels,
    check_columns,
    check_masses,
    check_not_balanced,
    class_factors,
    class_weights,
)
from fastsoftmax.validation.metrics import (
    check_class_probabilities,
    check_depths,
    check_evaluated_rows,
    check_floor,
    check_inverse_propensities,
    check_label_space,
    check_log_proba,
    check_propensity_rows,
    check_rankings,
    check_same_length,
    check_scores,
    check_thresholds,
    check_topk,
    check_true_columns,
    check_true_indicator,
    check_true_labels,
)
from fastsoftmax.validation.mixing import check_buckets, check_expert_proba
from fastsoftmax.validation.ngrams import (
    NotAWordError,
    check_contexts,
    check_discount_fallback,
    check_has_discounts,
    check_has_sentences,
    check_n_tokens,
    check_prune,
    check_sentence,
    check_sentences,
    check_word,
)
from fastsoftmax.validation.one_vs_all import (
    check_factors,
    check_one_vs_all_params,
    check_one_vs_all_rows,
)
from fastsoftmax.validation.options import (
    check_acts,
    check_calibration,
    check_l1,
    check_options,
    check_training_params,
)
from fastsoftmax.validation.plots import check_explanation, check_loss_curve, check_one_row, check_probabilities
from fastsoftmax.validation.ranks import (
    check_can_divide,
    check_communicator,
    check_generation,
    check_launched,
    check_loaded_ranks,
    check_mpi,
    check_one_process,
    check_ranks,
    check_ranks_of_model,
    check_same_ranks,
    check_undivided,
)
from fastsoftmax.validation.regression import (
    check_regression_model,
    check_regression_params,
    check_regression_rows,
    check_same_problem,
)
from fastsoftmax.validation.resources import (
    check_disk,
    check_memory,
    check_model_folder,
    check_n_shards,
    check_other_file,
    check_result,
    check_size,
    check_space,
    check_unchanged,
    check_writable,
)
from fastsoftmax.validation.rows import check_rows, check_some_rows, check_targets
from fastsoftmax.validation.sampling import (
    check_can_resume,
    check_class_ids,
    check_counted,
    check_counts,
    check_falling,
    check_followed,
    check_given,
    check_log_expected_counts,
    check_n_negatives,
    check_no_negatives,
    check_sampler,
    check_samplers,
    check_shares,
    check_unique,
)
from fastsoftmax.validation.scalars import (
    REAL_DTYPES,
    as_path,
    check_bool,
    check_choice,
    check_gradient_threshold,
    check_int,
    check_n_threads,
    check_option,
    check_path,
    check_real,
    check_rng,
    check_verbose,
    is_auto,
)
from fastsoftmax.validation.sequences import (
    check_enough_sequences,
    check_events,
    check_has_rows,
    check_item_ngrams,
    check_items_like,
    check_laid_out,
    check_next_item_params,
    check_one_each,
    check_sequence_codes,
    check_sequences,
)
from fastsoftmax.validation.targets import (
    check_codes,
    check_indicator,
    check_target,
    check_true_classes,
    is_one_a_row,
)
from fastsoftmax.validation.tensors import (
    check_counts_given,
    check_head_tensors,
    check_hidden_tensor,
    check_tensor,
)
from fastsoftmax.validation.training import (
    check_calibration_rows,
    check_can_calibrate,
    check_can_hold_out,
    check_can_prune,
    check_can_rank,
    check_has_marginals,
    check_initial_weights,
    check_resumes,
    check_row_norms,
    check_same_plan,
    check_same_terms,
    check_trainable,
    check_validation,
    warn_no_pairs,
    warn_not_calibrated,
)
from fastsoftmax.validation.weights import (
    check_class_weight,
    check_sample_weight,
    check_some_weight,
    of_mean_one,
    ratios,
    ratios_at,
    weighted_counts,
)
