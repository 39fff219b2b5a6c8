//! The positional parameters of Django's field and operation classes, in their order.
//!
//! Source: the signatures of Django 3.2, 4.2, 5.2, 6.0 and 6.1. Parameters were only ever added at the end, so that
//! one list names the arguments of every release.

/// Of `django.db.models.Field`, which most field classes inherit.
const FIELD: &[&str] = &[
    "verbose_name",
    "name",
    "primary_key",
    "max_length",
    "unique",
    "blank",
    "null",
    "db_index",
    "rel",
    "default",
    "editable",
    "serialize",
    "unique_for_date",
    "unique_for_month",
    "unique_for_year",
    "choices",
    "help_text",
    "db_column",
    "db_tablespace",
    "auto_created",
    "validators",
    "error_messages",
    "db_comment",
    "db_default",
];

/// The parameters of a field class of Django, by its own name.
pub(crate) fn field(class: &str) -> &'static [&'static str] {
    match class {
        "DateField" | "DateTimeField" | "TimeField" => &["verbose_name", "name", "auto_now", "auto_now_add"],
        "DecimalField" => &["verbose_name", "name", "max_digits", "decimal_places"],
        "FileField" => &["verbose_name", "name", "upload_to", "storage"],
        "ImageField" => &["verbose_name", "name", "width_field", "height_field"],
        "FilePathField" => &["verbose_name", "name", "path", "match", "recursive", "allow_files", "allow_folders"],
        "URLField" => &["verbose_name", "name"],
        "UUIDField" => &["verbose_name"],
        // `CompositePrimaryKey("tenant", "id")`: names of fields, as many as there are.
        "CompositePrimaryKey" => {
            &["field_0", "field_1", "field_2", "field_3", "field_4", "field_5", "field_6", "field_7"]
        }
        "JSONField" => &["verbose_name", "name", "encoder", "decoder"],
        "GenericIPAddressField" => {
            &["verbose_name", "name", "protocol", "unpack_ipv4", "primary_key", "max_length", "unique", "blank", "null"]
        }
        "ForeignKey" => &[
            "to",
            "on_delete",
            "related_name",
            "related_query_name",
            "limit_choices_to",
            "parent_link",
            "to_field",
            "db_constraint",
        ],
        "OneToOneField" => &["to", "on_delete", "to_field"],
        "ForeignObject" => &[
            "to",
            "on_delete",
            "from_fields",
            "to_fields",
            "rel",
            "related_name",
            "related_query_name",
            "limit_choices_to",
            "parent_link",
            "swappable",
        ],
        "ManyToManyField" => &[
            "to",
            "related_name",
            "related_query_name",
            "limit_choices_to",
            "symmetrical",
            "through",
            "through_fields",
            "db_constraint",
            "db_table",
            "swappable",
        ],
        "ArrayField" => &["base_field", "size"],
        "GeometryField"
        | "PointField"
        | "LineStringField"
        | "PolygonField"
        | "MultiPointField"
        | "MultiLineStringField"
        | "MultiPolygonField"
        | "GeometryCollectionField" => &["verbose_name", "dim", "geography"],
        "RasterField" => &["verbose_name", "srid", "spatial_index"],
        "GeneratedField" => &[],
        "GenericForeignKey" => &["ct_field", "fk_field", "for_concrete_model"],
        "GenericRelation" => {
            &["to", "object_id_field", "content_type_field", "for_concrete_model", "related_query_name"]
        }
        _ => FIELD,
    }
}

/// Whether Django has a field class of this name that can stand in a migration.
pub(crate) fn is_field(class: &str) -> bool {
    FIELD_CLASSES.binary_search(&class).is_ok()
}

/// Sorted.
const FIELD_CLASSES: &[&str] = &[
    "ArrayField",
    "AutoField",
    "BigAutoField",
    "BigIntegerField",
    "BigIntegerRangeField",
    "BinaryField",
    "BooleanField",
    "CICharField",
    "CIEmailField",
    "CITextField",
    "CharField",
    "CommaSeparatedIntegerField",
    "CompositePrimaryKey",
    "DateField",
    "DateRangeField",
    "DateTimeField",
    "DateTimeRangeField",
    "DecimalField",
    "DecimalRangeField",
    "DurationField",
    "EmailField",
    "Field",
    "FileField",
    "FilePathField",
    "FloatField",
    "ForeignKey",
    "ForeignObject",
    "GeneratedField",
    "GenericIPAddressField",
    "GeometryCollectionField",
    "GeometryField",
    "HStoreField",
    "IPAddressField",
    "ImageField",
    "IntegerField",
    "IntegerRangeField",
    "JSONField",
    "LineStringField",
    "ManyToManyField",
    "MultiLineStringField",
    "MultiPointField",
    "MultiPolygonField",
    "NullBooleanField",
    "OneToOneField",
    "OrderWrt",
    "PointField",
    "PolygonField",
    "PositiveBigIntegerField",
    "PositiveIntegerField",
    "PositiveSmallIntegerField",
    "RasterField",
    "SearchVectorField",
    "SlugField",
    "SmallAutoField",
    "SmallIntegerField",
    "TextField",
    "TimeField",
    "URLField",
    "UUIDField",
];

/// The parameters of an operation of `django.db.migrations` or `django.contrib.postgres`, by its own name.
pub(crate) fn operation(class: &str) -> Option<&'static [&'static str]> {
    Some(match class {
        "CreateModel" => &["name", "fields", "options", "bases", "managers"],
        "DeleteModel" => &["name"],
        "RenameModel" => &["old_name", "new_name"],
        "AlterModelTable" => &["name", "table"],
        "AlterModelTableComment" => &["name", "table_comment"],
        "AlterUniqueTogether" => &["name", "unique_together"],
        "AlterIndexTogether" => &["name", "index_together"],
        "AlterOrderWithRespectTo" => &["name", "order_with_respect_to"],
        "AlterModelOptions" => &["name", "options"],
        "AlterModelManagers" => &["name", "managers"],
        "AddField" | "AlterField" => &["model_name", "name", "field", "preserve_default"],
        "RemoveField" => &["model_name", "name", "field"],
        "RenameField" => &["model_name", "old_name", "new_name"],
        "AddIndex" | "AddIndexConcurrently" => &["model_name", "index"],
        "RemoveIndex" | "RemoveIndexConcurrently" => &["model_name", "name"],
        "RenameIndex" => &["model_name", "new_name", "old_name", "old_fields"],
        "AddConstraint" | "AddConstraintNotValid" => &["model_name", "constraint"],
        "RemoveConstraint" | "ValidateConstraint" => &["model_name", "name"],
        "AlterConstraint" => &["model_name", "name", "constraint"],
        "RunSQL" => &["sql", "reverse_sql", "state_operations", "hints", "elidable"],
        "RunPython" => &["code", "reverse_code", "atomic", "hints", "elidable"],
        "SeparateDatabaseAndState" => &["database_operations", "state_operations"],
        "CreateExtension" => &["name", "hints"],
        "CreateCollation" | "RemoveCollation" => &["name", "locale"],
        _ if extension(class).is_some() => &["hints"],
        _ => return None,
    })
}

/// The PostgreSQL extension that an operation of `django.contrib.postgres` creates.
pub(crate) fn extension(class: &str) -> Option<&'static str> {
    Some(match class {
        "BloomExtension" => "bloom",
        "BtreeGinExtension" => "btree_gin",
        "BtreeGistExtension" => "btree_gist",
        "CITextExtension" => "citext",
        "CryptoExtension" => "pgcrypto",
        "HStoreExtension" => "hstore",
        "TrigramExtension" => "pg_trgm",
        "UnaccentExtension" => "unaccent",
        _ => return None,
    })
}

/// The public name of what Django defines in an inner module: `django.db.models.deletion.CASCADE` →
/// `django.db.models.CASCADE`.
pub(crate) fn public_name(name: &str) -> Option<String> {
    const MOVED: &[(&str, &str)] = &[
        ("django.db.migrations.operations.base.", "django.db.migrations."),
        ("django.db.migrations.operations.fields.", "django.db.migrations."),
        ("django.db.migrations.operations.models.", "django.db.migrations."),
        ("django.db.migrations.operations.special.", "django.db.migrations."),
        ("django.db.migrations.operations.", "django.db.migrations."),
        ("django.db.migrations.migration.", "django.db.migrations."),
        ("django.db.models.fields.related.", "django.db.models."),
        ("django.db.models.fields.files.", "django.db.models."),
        ("django.db.models.fields.json.JSONField", "django.db.models.JSONField"),
        ("django.db.models.fields.generated.", "django.db.models."),
        ("django.db.models.fields.composite.", "django.db.models."),
        ("django.db.models.fields.proxy.", "django.db.models."),
        ("django.db.models.fields.", "django.db.models."),
        ("django.db.models.deletion.", "django.db.models."),
        ("django.db.models.base.", "django.db.models."),
        ("django.db.models.manager.", "django.db.models."),
        ("django.db.models.query_utils.Q", "django.db.models.Q"),
        ("django.db.models.expressions.", "django.db.models."),
        ("django.db.models.aggregates.", "django.db.models."),
        ("django.db.models.indexes.", "django.db.models."),
        ("django.db.models.constraints.", "django.db.models."),
        ("django.db.models.enums.", "django.db.models."),
        ("django.db.models.functions.comparison.", "django.db.models.functions."),
        ("django.db.models.functions.datetime.", "django.db.models.functions."),
        ("django.db.models.functions.json.", "django.db.models.functions."),
        ("django.db.models.functions.math.", "django.db.models.functions."),
        ("django.db.models.functions.text.", "django.db.models.functions."),
        ("django.db.models.functions.uuid.", "django.db.models.functions."),
        ("django.db.models.functions.window.", "django.db.models.functions."),
        ("django.contrib.gis.db.models.fields.", "django.contrib.gis.db.models."),
        ("django.contrib.postgres.fields.array.", "django.contrib.postgres.fields."),
        ("django.contrib.postgres.fields.citext.", "django.contrib.postgres.fields."),
        ("django.contrib.postgres.fields.hstore.", "django.contrib.postgres.fields."),
        ("django.contrib.postgres.fields.jsonb.", "django.contrib.postgres.fields."),
        ("django.contrib.postgres.fields.ranges.", "django.contrib.postgres.fields."),
    ];
    if !name.starts_with("django.") {
        return None;
    }
    MOVED.iter().find_map(|(from, to)| {
        let rest = name.strip_prefix(from)?;
        // A part below a class of the inner module, as `indexes.Index.suffix`, keeps its tail.
        (from.ends_with('.') != rest.is_empty()).then(|| format!("{to}{rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_classes_is_sorted() {
        assert!(FIELD_CLASSES.is_sorted());
        assert!(is_field("CharField") && !is_field("MoneyField"));
    }

    #[test]
    fn inner_modules_have_public_names() {
        let check = |name: &str, expect: Option<&str>| assert_eq!(public_name(name).as_deref(), expect);
        check("django.db.models.deletion.CASCADE", Some("django.db.models.CASCADE"));
        check("django.db.models.fields.related.ForeignKey", Some("django.db.models.ForeignKey"));
        check("django.db.models.fields.CharField", Some("django.db.models.CharField"));
        check("django.db.models.query_utils.Q", Some("django.db.models.Q"));
        check("django.db.models.CharField", None);
        check("shop.fields.MoneyField", None);
    }
}
