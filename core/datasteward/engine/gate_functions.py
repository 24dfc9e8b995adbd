"""Which of DuckDB's functions a statement may call: a list that was read through; what is not on it is refused.

A new DuckDB version's new functions are refused until someone has judged them; a test names them.
"""


def words(text: str) -> frozenset[str]:
    """The words of `text`, split at white space."""
    return frozenset(text.split())


SCALAR_FUNCTIONS = words(
    """
    __between __cast abs acos acosh add age aggregate ago alias any_value apply approx_count_distinct
    approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null
    arg_min_nulls_last argmax argmin array_agg array_aggr array_aggregate array_append array_apply array_cat
    array_concat array_contains array_cosine_distance array_cosine_similarity array_cross_product array_distance
    array_distinct array_dot_product array_extract array_filter array_grade_up array_has array_has_all array_has_any
    array_indexof array_inner_product array_intersect array_length array_negative_dot_product
    array_negative_inner_product array_pop_back array_pop_front array_position array_prepend array_push_back
    array_push_front array_reduce array_resize array_reverse array_reverse_sort array_select array_slice array_sort
    array_to_json array_to_string array_to_string_comma_default array_transform array_unique array_value array_where
    array_zip ascii asin asinh assert_true atan atan2 atanh avg bar base64 bin binom bit_and bit_count bit_length
    bit_or bit_position bit_xor bitstring bitstring_agg bitstring_byte_comparable bool_and bool_or
    can_cast_implicitly cardinality cbrt ceil ceiling century char_length character_length chr col_description
    combine concat concat_ws constant_or_null contains corr cos cosh cot count count_if count_star countif covar_pop
    covar_samp cume_dist current_catalog current_database current_date current_localtime current_localtimestamp
    current_role current_schema current_schemas current_user currval damerau_levenshtein date_add date_diff
    date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear
    days_in_month decade decimal_division decode degrees dense_rank divide editdist3 element_at encode ends_with
    entropy enum_code enum_first enum_last enum_range enum_range_boundary epoch epoch_ms epoch_ns epoch_us
    equi_width_bins era error even exp factorial favg fdiv fill filter finalize first first_value flatten floor fmod
    format format_bytes format_pg_type format_type formatreadabledecimalsize formatreadablesize from_base64
    from_binary from_hex from_json from_json_strict fsum gamma gcd gen_random_uuid generate_series
    generate_subscripts geomean geometric_mean get_bit get_current_time get_current_timestamp get_type grade_up
    greatest greatest_common_divisor group_concat hamming has_any_column_privilege has_column_privilege
    has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege
    has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege
    hash hex histogram histogram_exact hive_partition_component hour icu_sort_key if ilike_escape in_search_path
    instr is_histogram_other_bin isfinite isinf isnan isodow isoyear jaccard jaro_similarity jaro_winkler_similarity
    json json_array json_array_length json_contains json_copy_strftime_if_date json_copy_strftime_if_timestamp
    json_deep_merge json_deserialize_sql json_exists json_extract json_extract_path json_extract_path_text
    json_extract_string json_group_array json_group_object json_group_structure json_insert json_keys
    json_merge_patch json_merge_patch_diff json_normalize json_object json_pretty json_quote json_remove
    json_replace json_set json_strip_nulls json_structure json_transform json_transform_strict json_type json_valid
    json_value julian kahan_sum kurtosis kurtosis_pop lag last last_day last_value lcase lcm lead least
    least_common_multiple left left_grapheme len length length_grapheme levenshtein lgamma like_escape list
    list_aggr list_aggregate list_any_value list_append list_apply list_approx_count_distinct list_avg list_bit_and
    list_bit_or list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance
    list_cosine_similarity list_count list_distance list_distinct list_dot_product list_element list_entropy
    list_extract list_filter list_first list_grade_up list_has list_has_all list_has_any list_histogram list_indexof
    list_inner_product list_intersect list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median
    list_min list_mode list_negative_dot_product list_negative_inner_product list_pack list_position list_prepend
    list_product list_reduce list_resize list_reverse list_reverse_sort list_select list_sem list_skewness
    list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform list_unique
    list_value list_var_pop list_var_samp list_where list_zip listagg ln log log10 log2 lower lpad ltrim lttb mad
    make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz make_type map map_concat
    map_contains map_contains_entry map_contains_value map_entries map_extract map_extract_value map_from_entries
    map_keys map_to_pg_oid map_values max max_by md5 md5_number md5_number_lower md5_number_upper mean median
    microsecond millennium millisecond min min_by minute mismatches mod mode month monthname multiply nanosecond
    nextafter nfc_normalize normalized_interval not_ilike_escape not_like_escape now nth_value ntile nullif
    obj_description octet_length ord overlay parse_dirname parse_dirpath parse_filename parse_formatted_bytes
    parse_path path_join percent_rank pg_collation_is_visible pg_conf_load_time pg_conversion_is_visible
    pg_function_is_visible pg_get_constraintdef pg_get_expr pg_get_viewdef pg_has_role pg_is_other_temp_schema
    pg_my_temp_schema pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_postmaster_start_time
    pg_size_pretty pg_table_is_visible pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible
    pg_ts_template_is_visible pg_type_is_visible pg_typeof pi position pow power prefix printf product quantile
    quantile_cont quantile_disc quarter radians random range rank rank_dense reduce regexp_escape regexp_extract
    regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy remap_struct repeat
    replace reservoir_quantile reverse right right_grapheme round round_even roundbankers row row_number row_to_json
    rpad rtrim second sem session_user set_bit sha1 sha256 shobj_description sign signbit sin sinh skewness split
    split_part sqrt st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_crs st_geomfromgeojson st_geomfromwkb
    st_intersects_extent st_setcrs starts_with stddev stddev_pop stddev_samp str_split str_split_regex strftime
    string_agg string_split string_split_regex string_to_array strip_accents strlen strpos strptime struct_concat
    struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert struct_keys struct_pack
    struct_position struct_update struct_values substr substring substring_grapheme subtract suffix sum
    sum_no_overflow sumkahan switch tan tanh time_bucket timetz_byte_comparable timezone timezone_hour
    timezone_minute to_aggregate_state to_base to_base64 to_binary to_centuries to_days to_decades to_hex to_hours
    to_json to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp
    to_weeks to_years today transaction_timestamp translate trim trunc try_strptime typeof ucase unbin unhex unicode
    union_extract union_tag union_value unlist unnest unpivot_list upper url_decode url_encode user uuid uuid_extract_timestamp
    uuid_extract_version uuidv4 uuidv7 var_pop var_samp variance variant_array_length variant_comparator
    variant_contains variant_exists variant_extract variant_extract_string variant_group_array variant_group_object
    variant_keys variant_normalize variant_to_parquet_variant variant_type variant_typeof version vertex_extract
    wavg week weekday weekofyear weighted_avg xor year yearweek
    """
)
"""Scalar functions, aggregates, window functions and built-in macros without a way out or a trace."""

OPERATORS = words(
    r"""
    != !__postfix !~~ !~~* % & && * ** + - ->> / // < <-> << <= <=> <@ = > >= >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~
    """
)

TIME_WORDS = words("current_date current_time current_timestamp localtime localtimestamp")
"""Functions that are called without parentheses too, so that they look like columns."""

SAMPLE = "tablesample"
"""How a sample of rows is told among what gives something else each time."""

SEQUENCE_WRITERS = frozenset({"nextval", "setval"})
"""They look like reads and change a sequence."""

REFUSED_FUNCTIONS = words(
    """
    add_parquet_key cast_to_type combine_aggr create_sort_key current_connection_id current_query current_query_id
    current_setting current_transaction_id decimal_average get_block_size getenv getvariable index_key inet_client_addr
    inet_client_port inet_server_addr inet_server_port invoke json_execute_serialized_sql json_serialize_plan
    json_serialize_sql parse_duckdb_log_message pg_sleep replace_type setseed sleep_ms stats txid_current
    variant_bytes_to_variant vector_type write_log
    """
)
"""Built in and judged: they tell of the process or the session, run text as SQL, wait, or write."""

REFUSED_PREFIXES = ("__internal_", "icu_collate_", "collate_")

TABLE_FUNCTIONS = words(
    """
    duckdb_columns duckdb_constraints duckdb_dependencies duckdb_functions duckdb_indexes duckdb_keywords
    duckdb_optimizers duckdb_schemas duckdb_sequences duckdb_tables duckdb_types duckdb_views generate_series
    icu_calendar_names json_each json_tree pg_timezone_names pragma_collations pragma_version range
    regexp_split_to_table repeat repeat_row summary test_all_types unnest generate_subscripts
    """
)
"""Table functions that read neither files nor settings."""

TABLE_NAME_FUNCTIONS = frozenset({"pragma_table_info", "pragma_show"})
"""Table functions whose one argument names a table as constant text."""

REFUSED_TABLE_FUNCTIONS = words(
    """
    arrow_scan arrow_scan_dumb checkpoint create_external_resource deregister_external_resource
    destroy_external_resource disable_logging disable_profiling duckdb_approx_database_count duckdb_available_metrics
    duckdb_connection_count duckdb_coordinate_systems duckdb_databases duckdb_dialects duckdb_eviction_queues
    duckdb_extension_repositories duckdb_extensions duckdb_external_file_cache duckdb_external_resource_types
    duckdb_external_resources duckdb_grammar_extensions duckdb_log_contexts duckdb_logs duckdb_logs_parsed duckdb_memory
    duckdb_prepared_statements duckdb_profiling_settings duckdb_secret_type_parameters duckdb_secret_types
    duckdb_secrets duckdb_settings duckdb_table_sample duckdb_temporary_files duckdb_triggers duckdb_variables
    enable_logging enable_profiling force_checkpoint histogram histogram_values json_execute_serialized_sql pandas_scan
    pragma_database_size pragma_metadata_info pragma_platform pragma_storage_info pragma_user_agent python_arrow_scan
    python_map_function query query_table read_duckdb read_single_csv_file read_single_json_file
    read_single_parquet_file register_external_resource register_external_resource_type seq_scan test_vector_types
    truncate_duckdb_logs which_secret parquet_full_metadata
    """
)

FILE_FUNCTIONS = {
    **dict.fromkeys(("read_csv", "read_csv_auto", "sniff_csv"), "csv"),
    **dict.fromkeys(
        words(
            "read_json read_json_auto read_ndjson read_ndjson_auto read_json_objects read_json_objects_auto"
            " read_ndjson_objects"
        ),
        "json",
    ),
    **dict.fromkeys(("read_parquet", "parquet_scan"), "parquet"),
    **dict.fromkeys(
        words(
            "parquet_metadata parquet_schema parquet_file_metadata parquet_kv_metadata parquet_bloom_probe"
            " read_text read_blob glob"
        ),
        "plain",
    ),
}
"""Table functions that read files named by their first argument, with the family of options each takes."""

_FILE_OPTIONS = words(
    """
    filename hive_partitioning union_by_name hive_types hive_types_autocast file_row_number allow_empty schema
    column_statistics compression
    """
)
FILE_OPTIONS = {
    "csv": _FILE_OPTIONS
    | words(
        """
        sep delim separator delimiter null date_format timestamp_format quote new_line escape nullstr columns
        auto_type_candidates header auto_detect sample_size all_varchar dateformat timestampformat normalize_names skip
        max_line_size maximum_line_size ignore_errors force_not_null buffer_size decimal_separator parallel null_padding
        allow_quoted_nulls column_types dtypes types names column_names comment encoding strict_mode thousands
        files_to_sniff force_match
        """
    ),
    "json": _FILE_OPTIONS
    | words(
        """
        maximum_object_size ignore_errors format columns auto_detect geojson sample_size dateformat date_format
        timestampformat timestamp_format records array maximum_sample_files maximum_depth field_appearance_threshold
        convert_strings_to_integers map_inference_threshold
        """
    ),
    "parquet": _FILE_OPTIONS | frozenset({"binary_as_string", "can_have_nan", "int96_as", "utf8_validation"}),
    "plain": frozenset({"allow_empty"}),
}
"""Options of file functions; those that create tables (store_rejects), decrypt or connect are left out."""

SYSTEM_VIEWS = words(
    """
    information_schema.character_sets information_schema.check_constraints information_schema.columns
    information_schema.constraint_column_usage information_schema.constraint_table_usage
    information_schema.key_column_usage information_schema.referential_constraints information_schema.schemata
    information_schema.tables information_schema.table_constraints information_schema.views main.duckdb_columns
    main.duckdb_constraints main.duckdb_indexes main.duckdb_schemas main.duckdb_tables main.duckdb_types
    main.duckdb_views main.sqlite_master main.sqlite_schema pg_catalog.pg_am pg_catalog.pg_attrdef
    pg_catalog.pg_attribute pg_catalog.pg_class pg_catalog.pg_collation pg_catalog.pg_constraint pg_catalog.pg_database
    pg_catalog.pg_depend pg_catalog.pg_description pg_catalog.pg_enum pg_catalog.pg_index pg_catalog.pg_indexes
    pg_catalog.pg_namespace pg_catalog.pg_proc pg_catalog.pg_sequence pg_catalog.pg_sequences pg_catalog.pg_tables
    pg_catalog.pg_type pg_catalog.pg_views
    """
)
"""DuckDB's own views about the catalog that hold neither paths nor settings."""

REFUSED_SYSTEM_VIEWS = words(
    """
    main.duckdb_databases main.duckdb_logs main.pragma_database_list main.sqlite_temp_master main.sqlite_temp_schema
    pg_catalog.pg_prepared_statements pg_catalog.pg_settings pg_catalog.pg_tablespace
    """
)

SHOWN_SPECIALS = frozenset({"tables", "databases", "schemas", "__show_tables_expanded"})
"""What SHOW may list."""

IMPLICIT_FUNCTIONS = OPERATORS | words(
    """
    any_value approx_count_distinct approx_quantile array_agg array_extract array_slice avg concat constant_or_null
    contains count count_star date_trunc duckdb_columns duckdb_constraints duckdb_databases duckdb_functions
    duckdb_indexes duckdb_schemas duckdb_sequences duckdb_tables duckdb_types duckdb_views element_at enum_first
    enum_range first list list_contains list_element list_extract list_pack list_slice list_value list_zip map_extract
    max min quantile round row stddev stddev_samp struct_concat struct_extract struct_pack sum unnest unpivot_list
    """
)
"""Functions that DuckDB calls by name for syntax such as SHOW, SUMMARIZE, PIVOT, UNPIVOT and x[1]; found by planting a
macro in the place of each one in turn."""

REFUSED_PRAGMAS = words(
    """
    add_parquet_key collations copy_database database_list database_size disable_checkpoint_on_shutdown
    disable_object_cache disable_optimizer disable_print_progress_bar disable_profile disable_profiling
    disable_progress_bar disable_verification disable_verify_parallelism enable_checkpoint_on_shutdown
    enable_object_cache enable_optimizer enable_print_progress_bar enable_profile enable_profiling enable_progress_bar
    enable_verification extension_versions functions import_database metadata_info platform show show_databases
    show_tables show_tables_expanded storage_info table_info user_agent verify_parallelism
    """
)
"""Callable as PRAGMA only; `statements` lets through the few that describe data."""
