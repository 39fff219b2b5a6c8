//! Facts about packages outside of Django: what their field classes store and what their operations do.
//!
//! A class is found by its package, the first parts of its dotted name, and its own name; so that re-exports and
//! moved modules need no rows of their own. A row is added where a class occurs in public migrations, from its
//! package's documentation and source. Rows come before the package's source, where that is at hand.

/// What a field class stores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FieldFact {
    /// A Django field class, with arguments that the class sets where the migration does not.
    As(&'static str, &'static [(&'static str, Literal)]),
    /// A column of a type of its own. `{name}` stands for an argument; the type ends before `(` where it is missing.
    Column(&'static str),
    /// No column in the model's table, and no other table.
    NoColumn,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Literal {
    Int(i128),
    Bool(bool),
    Str(&'static str),
    None,
}

/// What an operation class does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationFact {
    /// A marker without effect.
    NoOp,
    /// Reads or changes rows through models, and nothing else.
    Rows,
    /// The operation of Django of this name.
    As(&'static str),
    /// Creates this extension.
    Extension(&'static str),
    /// django-pgtrigger's pair.
    AddTrigger,
    RemoveTrigger,
    /// `AddDefaultValue(model_name, name, value)` of django-add-default-value.
    AddDefaultValue,
    /// A change of the state like Django's operation of this name, and statements that are not known.
    StateLike(&'static str),
    /// A `RunSQL` by the arguments `sql` and `reverse_sql`, after a name.
    NamedSql,
    /// `AlterField` of a many-to-many field that gets or loses the column of its order.
    SortedManyToMany,
}

use FieldFact::{As, Column, NoColumn};
use Literal::{Bool, Int, None as Null, Str};

const fn varchar(entry: &'static [(&'static str, Literal)]) -> FieldFact {
    As("CharField", entry)
}

const TEXT: FieldFact = As("TextField", &[]);
const IMAGE: FieldFact = As("ImageField", &[]);
const FILE: FieldFact = As("FileField", &[]);
const KEY: FieldFact = As("ForeignKey", &[]);
const CHAR: FieldFact = As("CharField", &[]);
const NULLABLE: &[(&str, Literal)] = &[("null", Bool(true)), ("blank", Bool(true)), ("default", Null)];
const NULL_AND_BLANK: &[(&str, Literal)] = &[("null", Bool(true)), ("blank", Bool(true))];
/// The through table has a column of this name for the order.
const SORTED: FieldFact = As("ManyToManyField", &[("sort_value_field_name", Str("sort_value"))]);

/// Package, class, fact. Sorted by package, then class.
const FIELDS: &[(&str, &str, FieldFact)] = &[
    ("address", "AddressField", As("ForeignKey", &[("to", Str("address.address"))])),
    ("annoying", "AutoOneToOneField", As("OneToOneField", &[])),
    ("annoying", "JSONField", TEXT),
    ("any_imagefield", "AnyImageField", IMAGE),
    ("any_urlfield", "AnyUrlField", varchar(&[("max_length", Int(300))])),
    ("autoslug", "AutoSlugField", As("SlugField", &[])),
    ("bitfield", "BitField", As("BigIntegerField", &[])),
    ("categories", "CategoryFKField", As("ForeignKey", &[("to", Str("categories.Category"))])),
    ("categories", "CategoryM2MField", As("ManyToManyField", &[("to", Str("categories.Category"))])),
    ("citext", "CICharField", As("CITextField", &[])),
    ("citext", "CIEmailField", As("CITextField", &[])),
    ("citext", "CITextField", As("CITextField", &[])),
    ("ckeditor", "RichTextField", TEXT),
    ("ckeditor_uploader", "RichTextUploadingField", TEXT),
    ("cloudinary", "CloudinaryField", varchar(&[("max_length", Int(255))])),
    ("cms", "PageField", As("ForeignKey", &[("to", Str("cms.Page"))])),
    ("cms", "PlaceholderField", As("ForeignKey", &[("to", Str("cms.Placeholder")), ("null", Bool(true))])),
    ("cms", "PlaceholderRelationField", NoColumn),
    ("colorfield", "ColorField", varchar(&[("max_length", Int(25))])),
    ("concurrency", "AutoIncVersionField", As("BigIntegerField", &[])),
    ("concurrency", "ConditionalVersionField", As("BigIntegerField", &[])),
    ("concurrency", "IntegerVersionField", As("BigIntegerField", &[])),
    ("concurrency", "TriggerVersionField", As("BigIntegerField", &[])),
    ("creditcards", "CardExpiryField", As("DateField", &[])),
    ("creditcards", "CardNumberField", varchar(&[("max_length", Int(25))])),
    ("creditcards", "SecurityCodeField", varchar(&[("max_length", Int(4))])),
    ("django_better_admin_arrayfield", "ArrayField", As("ArrayField", &[])),
    ("django_bleach", "BleachField", TEXT),
    ("django_ckeditor_5", "CKEditor5Field", TEXT),
    ("django_countries", "CountryField", varchar(&[("max_length", Int(2))])),
    ("django_enum_choices", "EnumChoiceField", CHAR),
    ("django_extensions", "AutoSlugField", As("SlugField", &[])),
    ("django_extensions", "CreationDateTimeField", As("DateTimeField", &[("auto_now_add", Bool(true))])),
    ("django_extensions", "JSONField", TEXT),
    ("django_extensions", "ModificationDateTimeField", As("DateTimeField", &[("auto_now", Bool(true))])),
    ("django_extensions", "RandomCharField", CHAR),
    ("django_extensions", "ShortUUIDField", varchar(&[("max_length", Int(22))])),
    ("django_fsm", "FSMField", varchar(&[("max_length", Int(50))])),
    ("django_fsm", "FSMIntegerField", As("IntegerField", &[])),
    ("django_fsm", "FSMKeyField", KEY),
    ("django_google_maps", "AddressField", varchar(&[("max_length", Int(200))])),
    ("django_google_maps", "GeoLocationField", varchar(&[("max_length", Int(100))])),
    ("django_jsonfield_backport", "JSONField", As("JSONField", &[])),
    ("django_jsonform", "ArrayField", As("ArrayField", &[])),
    ("django_jsonform", "JSONField", As("JSONField", &[])),
    ("django_ltree", "PathField", Column("ltree")),
    ("django_pydantic_field", "PydanticSchemaField", As("JSONField", &[])),
    ("django_resized", "ResizedImageField", IMAGE),
    ("django_userforeignkey", "UserForeignKey", KEY),
    ("djangocms_attributes_field", "AttributesField", TEXT),
    ("djangocms_text", "HTMLField", TEXT),
    ("djangocms_text_ckeditor", "HTMLField", TEXT),
    ("djmoney", "CurrencyField", varchar(&[("max_length", Int(3))])),
    ("djmoney", "MoneyField", As("DecimalField", &[])),
    ("djstripe", "JSONField", As("JSONField", &[])),
    ("djstripe", "StripeCurrencyCodeField", varchar(&[("max_length", Int(3))])),
    ("djstripe", "StripeDateTimeField", As("DateTimeField", &[])),
    (
        "djstripe",
        "StripeDecimalCurrencyAmountField",
        As("DecimalField", &[("max_digits", Int(11)), ("decimal_places", Int(2))]),
    ),
    ("djstripe", "StripeEnumField", varchar(&[("max_length", Int(255))])),
    ("djstripe", "StripeForeignKey", KEY),
    ("djstripe", "StripeIdField", varchar(&[("max_length", Int(255))])),
    ("djstripe", "StripePercentField", As("DecimalField", &[("max_digits", Int(5)), ("decimal_places", Int(2))])),
    ("djstripe", "StripeQuantumCurrencyAmountField", As("BigIntegerField", &[])),
    ("easy_thumbnails", "ThumbnailerField", FILE),
    ("easy_thumbnails", "ThumbnailerImageField", IMAGE),
    ("embed_video", "EmbedVideoField", As("URLField", &[])),
    ("encrypted_fields", "EncryptedBigIntegerField", TEXT),
    ("encrypted_fields", "EncryptedBooleanField", TEXT),
    ("encrypted_fields", "EncryptedCharField", TEXT),
    ("encrypted_fields", "EncryptedDateField", TEXT),
    ("encrypted_fields", "EncryptedDateTimeField", TEXT),
    ("encrypted_fields", "EncryptedEmailField", TEXT),
    ("encrypted_fields", "EncryptedIntegerField", TEXT),
    ("encrypted_fields", "EncryptedJSONField", TEXT),
    ("encrypted_fields", "EncryptedTextField", TEXT),
    (
        "encrypted_fields",
        "SearchField",
        varchar(&[("max_length", Int(66)), ("db_index", Bool(true)), ("null", Bool(true))]),
    ),
    ("encrypted_model_fields", "EncryptedBigIntegerField", TEXT),
    ("encrypted_model_fields", "EncryptedBooleanField", TEXT),
    ("encrypted_model_fields", "EncryptedCharField", TEXT),
    ("encrypted_model_fields", "EncryptedDateField", TEXT),
    ("encrypted_model_fields", "EncryptedDateTimeField", TEXT),
    ("encrypted_model_fields", "EncryptedEmailField", TEXT),
    ("encrypted_model_fields", "EncryptedIntegerField", TEXT),
    ("encrypted_model_fields", "EncryptedTextField", TEXT),
    ("enumfields", "EnumField", varchar(&[("max_length", Int(10))])),
    ("enumfields", "EnumIntegerField", As("IntegerField", &[])),
    ("fernet_fields", "EncryptedCharField", As("BinaryField", &[])),
    ("fernet_fields", "EncryptedDateField", As("BinaryField", &[])),
    ("fernet_fields", "EncryptedDateTimeField", As("BinaryField", &[])),
    ("fernet_fields", "EncryptedEmailField", As("BinaryField", &[])),
    ("fernet_fields", "EncryptedIntegerField", As("BinaryField", &[])),
    ("fernet_fields", "EncryptedTextField", As("BinaryField", &[])),
    ("filebrowser", "FileBrowseField", CHAR),
    ("filer", "FilerFileField", As("ForeignKey", &[("to", Str("filer.File"))])),
    ("filer", "FilerFolderField", As("ForeignKey", &[("to", Str("filer.Folder"))])),
    ("filer", "FilerImageField", As("ForeignKey", &[("to", Str("filer.Image"))])),
    ("fluent_contents", "PlaceholderField", NoColumn),
    ("fontawesome_5", "IconField", varchar(&[("max_length", Int(60))])),
    ("froala_editor", "FroalaField", TEXT),
    ("geoposition", "GeopositionField", varchar(&[("max_length", Int(42))])),
    ("hashid_field", "BigHashidAutoField", As("BigAutoField", &[])),
    ("hashid_field", "BigHashidField", As("BigIntegerField", &[])),
    ("hashid_field", "HashidAutoField", As("AutoField", &[])),
    ("hashid_field", "HashidField", As("IntegerField", &[])),
    ("i18nfield", "I18nCharField", TEXT),
    ("i18nfield", "I18nTextField", TEXT),
    ("image_cropping", "ImageCropField", IMAGE),
    ("image_cropping", "ImageRatioField", varchar(&[("max_length", Int(255))])),
    ("imagekit", "ProcessedImageField", IMAGE),
    ("isbn_field", "ISBNField", varchar(&[("max_length", Int(28))])),
    ("jsonfallback", "FallbackJSONField", As("JSONField", &[])),
    ("jsonfield", "JSONCharField", CHAR),
    ("jsonfield", "JSONField", TEXT),
    ("languages", "LanguageField", varchar(&[("max_length", Int(3))])),
    ("localflavor", "AUPhoneNumberField", varchar(&[("max_length", Int(20))])),
    ("localflavor", "AUPostCodeField", varchar(&[("max_length", Int(4))])),
    ("localflavor", "AUStateField", varchar(&[("max_length", Int(3))])),
    ("localflavor", "BICField", varchar(&[("max_length", Int(11))])),
    ("localflavor", "BRCNPJField", varchar(&[("max_length", Int(18))])),
    ("localflavor", "BRCPFField", varchar(&[("max_length", Int(14))])),
    ("localflavor", "BRPostalCodeField", varchar(&[("max_length", Int(9))])),
    ("localflavor", "BRStateField", varchar(&[("max_length", Int(2))])),
    ("localflavor", "CAPostalCodeField", varchar(&[("max_length", Int(7))])),
    ("localflavor", "CAProvinceField", varchar(&[("max_length", Int(2))])),
    ("localflavor", "IBANField", varchar(&[("max_length", Int(34))])),
    ("localflavor", "USPostalCodeField", varchar(&[("max_length", Int(2))])),
    ("localflavor", "USSocialSecurityNumberField", varchar(&[("max_length", Int(11))])),
    ("localflavor", "USStateField", varchar(&[("max_length", Int(2))])),
    ("localflavor", "USZipCodeField", varchar(&[("max_length", Int(10))])),
    ("location_field", "PlainLocationField", varchar(&[("max_length", Int(63))])),
    ("markdownx", "MarkdownxField", TEXT),
    ("markupfield", "MarkupField", TEXT),
    ("martor", "MartorField", TEXT),
    ("mdeditor", "MDTextField", TEXT),
    ("model_utils", "AutoCreatedField", As("DateTimeField", &[])),
    ("model_utils", "AutoLastModifiedField", As("DateTimeField", &[])),
    ("model_utils", "MonitorField", As("DateTimeField", &[])),
    ("model_utils", "SplitField", TEXT),
    ("model_utils", "StatusField", varchar(&[("max_length", Int(100))])),
    ("model_utils", "UUIDField", As("UUIDField", &[])),
    ("model_utils", "UrlsafeTokenField", varchar(&[("max_length", Int(128))])),
    ("modelcluster", "ClusterTaggableManager", NoColumn),
    ("modelcluster", "ParentalKey", KEY),
    ("modelcluster", "ParentalManyToManyField", As("ManyToManyField", &[])),
    ("morango", "UUIDField", As("UUIDField", &[("max_length", Int(32))])),
    ("mptt", "TreeForeignKey", KEY),
    ("mptt", "TreeManyToManyField", As("ManyToManyField", &[])),
    ("mptt", "TreeOneToOneField", As("OneToOneField", &[])),
    ("multi_email_field", "MultiEmailField", TEXT),
    ("multiselectfield", "MultiSelectField", varchar(&[("max_length", Int(200))])),
    ("netfields", "CidrAddressField", Column("cidr")),
    ("netfields", "InetAddressField", Column("inet")),
    ("netfields", "MACAddress8Field", Column("macaddr8")),
    ("netfields", "MACAddressField", Column("macaddr")),
    ("oauth2_provider", "ClientSecretField", CHAR),
    ("oauth2_provider", "TokenChecksumField", CHAR),
    ("openwisp_utils", "FallbackBooleanChoiceField", As("BooleanField", NULLABLE)),
    ("openwisp_utils", "FallbackCharField", As("CharField", NULLABLE)),
    ("openwisp_utils", "FallbackPositiveIntegerField", As("PositiveIntegerField", NULLABLE)),
    ("openwisp_utils", "FallbackTextField", As("TextField", NULLABLE)),
    ("openwisp_utils", "FallbackURLField", As("URLField", NULLABLE)),
    ("openwisp_utils", "KeyField", varchar(&[("max_length", Int(64))])),
    ("organizations", "AutoCreatedField", As("DateTimeField", &[])),
    ("organizations", "AutoLastModifiedField", As("DateTimeField", &[])),
    ("organizations", "SlugField", As("SlugField", &[])),
    ("oscar", "AutoSlugField", As("SlugField", &[])),
    ("oscar", "NullCharField", As("CharField", NULL_AND_BLANK)),
    ("oscar", "PhoneNumberField", varchar(&[("max_length", Int(128))])),
    ("oscar", "UppercaseCharField", CHAR),
    ("parler", "TranslatedField", NoColumn),
    ("parler", "TranslationsForeignKey", KEY),
    ("pgvector", "BitField", Column("bit({length})")),
    ("pgvector", "HalfVectorField", Column("halfvec({dimensions})")),
    ("pgvector", "SparseVectorField", Column("sparsevec({dimensions})")),
    ("pgvector", "VectorField", Column("vector({dimensions})")),
    ("phonenumber_field", "PhoneNumberField", varchar(&[("max_length", Int(128))])),
    ("picklefield", "PickledObjectField", TEXT),
    ("polymorphic_tree", "PolymorphicTreeForeignKey", KEY),
    ("positions", "PositionField", As("IntegerField", &[])),
    ("private_storage", "PrivateFileField", FILE),
    ("private_storage", "PrivateImageField", IMAGE),
    ("recurrence", "RecurrenceField", TEXT),
    ("redactor", "RedactorField", TEXT),
    ("relativedeltafield", "RelativeDeltaField", Column("interval")),
    ("s3direct", "S3DirectField", TEXT),
    ("safedelete", "SafeDeleteDateTimeField", As("DateTimeField", &[])),
    ("semantic_version", "SpecField", varchar(&[("max_length", Int(200))])),
    ("semantic_version", "VersionField", varchar(&[("max_length", Int(200))])),
    ("shortuuid", "ShortUUIDField", varchar(&[("max_length", Int(22))])),
    ("shortuuidfield", "ShortUUIDField", varchar(&[("max_length", Int(22))])),
    ("simple_history", "HistoricForeignKey", KEY),
    ("simple_history", "HistoricOneToOneField", As("OneToOneField", &[])),
    ("simplemde", "SimpleMDEField", TEXT),
    ("smart_selects", "ChainedForeignKey", KEY),
    ("smart_selects", "ChainedManyToManyField", As("ManyToManyField", &[])),
    ("smart_selects", "GroupedForeignKey", KEY),
    ("sorl", "ImageField", IMAGE),
    ("sortedm2m", "SortedManyToManyField", SORTED),
    ("stdimage", "JPEGField", IMAGE),
    ("stdimage", "StdImageField", IMAGE),
    ("tagging", "TagField", varchar(&[("max_length", Int(255))])),
    ("taggit", "TaggableManager", NoColumn),
    ("taggit_autosuggest", "TaggableManager", NoColumn),
    ("timezone_field", "TimeZoneField", varchar(&[("max_length", Int(63))])),
    ("tinymce", "HTMLField", TEXT),
    ("tree_queries", "TreeNodeForeignKey", As("ForeignKey", &[("null", Bool(true)), ("default", Null)])),
    ("versatileimagefield", "PPOIField", varchar(&[("max_length", Int(20))])),
    ("versatileimagefield", "VersatileImageField", IMAGE),
    ("vies", "VATINField", varchar(&[("max_length", Int(14))])),
    ("wagtail", "RichTextField", TEXT),
    ("yamlfield", "YAMLField", TEXT),
];

/// Package, class, fact. Sorted by package, then class.
const OPERATIONS: &[(&str, &str, OperationFact)] = &[
    ("django_add_default_value", "AddDefaultValue", OperationFact::AddDefaultValue),
    ("django_db_views", "ViewRunPython", OperationFact::As("RunPython")),
    ("django_migrate_sql", "AlterSQL", OperationFact::NamedSql),
    ("django_migrate_sql", "CreateSQL", OperationFact::NamedSql),
    ("django_migrate_sql", "DeleteSQL", OperationFact::NamedSql),
    ("django_migrate_sql", "ReverseAlterSQL", OperationFact::NamedSql),
    ("django_migration_linter", "IgnoreMigration", OperationFact::NoOp),
    ("hierarkey", "CleanHierarkeyDuplicates", OperationFact::Rows),
    ("migrate_sql", "AlterSQL", OperationFact::NamedSql),
    ("migrate_sql", "CreateSQL", OperationFact::NamedSql),
    ("migrate_sql", "DeleteSQL", OperationFact::NamedSql),
    ("migrate_sql", "ReverseAlterSQL", OperationFact::NamedSql),
    ("pgtrigger", "AddTrigger", OperationFact::AddTrigger),
    ("pgtrigger", "RemoveTrigger", OperationFact::RemoveTrigger),
    ("pgvector", "VectorExtension", OperationFact::Extension("vector")),
    ("psqlextra", "PostgresCreateMaterializedViewModel", OperationFact::StateLike("CreateModel")),
    ("psqlextra", "PostgresCreatePartitionedModel", OperationFact::StateLike("CreateModel")),
    ("psqlextra", "PostgresCreateViewModel", OperationFact::StateLike("CreateModel")),
    ("psqlextra", "PostgresDeleteMaterializedViewModel", OperationFact::StateLike("DeleteModel")),
    ("psqlextra", "PostgresDeletePartitionedModel", OperationFact::StateLike("DeleteModel")),
    ("psqlextra", "PostgresDeleteViewModel", OperationFact::StateLike("DeleteModel")),
    ("pulpcore", "RequireVersion", OperationFact::Rows),
    ("sortedm2m", "AlterSortedManyToManyField", OperationFact::SortedManyToMany),
];

/// The package whose operation gives a many-to-many field an order, as [`package`] names it.
pub(crate) const SORTED_MANY_TO_MANY: &str = "sortedm2m";

/// What is known of a field class by its dotted name.
pub(crate) fn field(name: &str) -> Option<FieldFact> {
    find(FIELDS, name)
}

/// What is known of an operation class by its dotted name.
pub(crate) fn operation(name: &str) -> Option<OperationFact> {
    find(OPERATIONS, name)
}

/// The prefix of swapper's settings for an app, where `swapper.set_app_prefix` has given it another than its label.
pub(crate) fn swapper_prefix(app: &str) -> &str {
    match app {
        "wagtailcore" => "wagtail",
        app => app,
    }
}

/// The name of the package as it is installed, for messages.
pub(crate) fn package(name: &str) -> &str {
    match name.split('.').next().unwrap_or(name) {
        "pgtrigger" => "django-pgtrigger",
        "django_add_default_value" => "django-add-default-value",
        "django_migration_linter" => "django-migration-linter",
        "psqlextra" => "django-postgres-extra",
        "migrate_sql" | "django_migrate_sql" => "django-migrate-sql",
        package => package,
    }
}

fn find<T: Copy>(table: &[(&str, &str, T)], name: &str) -> Option<T> {
    let (package, _) = name.split_once('.')?;
    let class = name.rsplit('.').next()?;
    let row = table.binary_search_by(|(row_package, row_class, _)| (*row_package, *row_class).cmp(&(package, class)));
    row.ok().and_then(|index| table.get(index)).map(|(_, _, fact)| *fact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(FIELDS.is_sorted_by(|one, other| (one.0, one.1) < (other.0, other.1)));
        assert!(OPERATIONS.is_sorted_by(|one, other| (one.0, one.1) < (other.0, other.1)));
    }

    #[test]
    fn a_class_is_found_by_package_and_name() {
        assert_eq!(field("taggit.managers.TaggableManager"), Some(NoColumn));
        assert_eq!(field("taggit.TaggableManager"), Some(NoColumn));
        assert_eq!(field("shop.TaggableManager"), None);
        assert_eq!(field("CharField"), None);
        assert_eq!(operation("django_migration_linter.operations.IgnoreMigration"), Some(OperationFact::NoOp));
    }
}
