//! What is asked of the server: one value per SQL statement.
//!
//! Django's operations and the SQL of `RunSQL` both end here. Whatever is not understood is [`Statement::Opaque`]
//! with the reason; it is never dropped. The forms follow the manual's "SQL Commands".

use std::ops::Range;

use crate::data_type::DataType;
use crate::effects::Refusal;
use crate::expr::SqlExpr;
use crate::name::{Ident, QualifiedName};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    // Tables
    CreateTable(CreateTable),
    CreateTableAs(CreateTableAs),
    /// `ALTER TABLE`, and `ALTER INDEX | VIEW | MATERIALIZED VIEW | SEQUENCE | FOREIGN TABLE` in their table-like forms.
    AlterTable(AlterTable),
    // Indexes
    CreateIndex(CreateIndex),
    Reindex(Reindex),
    // Everything that is dropped
    Drop(DropObjects),
    // Views
    CreateView(CreateView),
    RefreshMaterializedView {
        name: QualifiedName,
        concurrently: bool,
        with_data: bool,
    },
    // Sequences
    CreateSequence(CreateSequence),
    AlterSequence {
        name: QualifiedName,
        if_exists: bool,
        options: SequenceOptions,
    },
    // Types and domains
    CreateType {
        name: QualifiedName,
        definition: TypeDefinition,
    },
    AlterType {
        name: QualifiedName,
        action: AlterTypeAction,
    },
    CreateDomain(CreateDomain),
    AlterDomain {
        name: QualifiedName,
        action: AlterDomainAction,
    },
    // Code in the database
    CreateFunction(CreateFunction),
    CreateTrigger(CreateTrigger),
    CreateRule {
        name: Ident,
        table: QualifiedName,
        or_replace: bool,
        /// `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
        event: String,
        /// DO INSTEAD: what the statement would do is not done.
        instead: bool,
        /// For the rows that a WHERE chooses.
        conditional: bool,
        /// What its condition and its actions name of `old` and `new`.
        columns: Vec<Ident>,
        actions: Vec<Statement>,
    },
    CreatePolicy {
        name: Ident,
        table: QualifiedName,
        roles: Vec<Ident>,
        /// Behind FOR.
        command: Option<Ident>,
        using: Option<SqlExpr>,
        with_check: Option<SqlExpr>,
        /// What the subqueries of its expressions read.
        relations: Vec<QualifiedName>,
    },
    AlterPolicy {
        name: Ident,
        table: QualifiedName,
        roles: Vec<Ident>,
        using: Option<SqlExpr>,
        with_check: Option<SqlExpr>,
        relations: Vec<QualifiedName>,
    },
    /// `ALTER TRIGGER | RULE … ON table RENAME TO …` and the like.
    AlterOnTable {
        /// `NO DEPENDS ON EXTENSION` (13).
        no: bool,
        kind: ObjectKind,
        name: Ident,
        table: QualifiedName,
        rename_to: Option<Ident>,
    },
    // The rest of the schema
    CreateSchema {
        name: SchemaName,
        if_not_exists: bool,
        /// The objects that are made in it, in the order in which they are written.
        elements: Vec<Statement>,
    },
    CreateExtension {
        name: Ident,
        if_not_exists: bool,
        /// WITH SCHEMA.
        schema: Option<Ident>,
    },
    /// `ALTER EXTENSION … ADD | DROP kind name`: the object becomes a member, or is one no longer.
    AlterExtensionMember {
        extension: Ident,
        drop: bool,
        kind: ObjectKind,
        member: QualifiedName,
    },
    CreateStatistics {
        name: Option<QualifiedName>,
        table: QualifiedName,
        if_not_exists: bool,
        /// `ndistinct` and its kin; empty: all of them.
        kinds: Vec<Ident>,
        /// The columns and expressions that are named, in order.
        elements: Vec<IndexKey>,
    },
    CreatePublication {
        name: Ident,
        all_tables: bool,
        objects: PublicationObjects,
        options: Vec<(String, String)>,
    },
    /// ADD, SET or DROP of tables, or SET of options.
    AlterPublication {
        name: Ident,
        change: PublicationChange,
        objects: PublicationObjects,
        options: Vec<(String, String)>,
    },
    /// Another object's creation that takes no lock on user tables (roles, casts, operators, collations, subscriptions …).
    CreateOther {
        kind: ObjectKind,
        name: QualifiedName,
    },
    /// `ALTER kind name …` that takes no lock on user tables: rename, owner, schema and options of such objects.
    AlterOther {
        kind: ObjectKind,
        name: QualifiedName,
        /// Of a routine, the input arguments' types where a list is written and understood.
        arguments: Option<Vec<DataType>>,
        rename_to: Option<Ident>,
        set_schema: Option<Ident>,
        /// What a routine is said to be from now on.
        volatility: Option<Volatility>,
    },
    /// `ALTER STATISTICS … SET STATISTICS n` (13).
    AlterStatisticsTarget {
        name: QualifiedName,
        if_exists: bool,
    },
    /// `SECURITY LABEL … ON kind name IS …`: locks as COMMENT does.
    SecurityLabel {
        kind: ObjectKind,
        name: QualifiedName,
    },
    /// `ALTER TABLE | INDEX | MATERIALIZED VIEW ALL IN TABLESPACE a … SET TABLESPACE b`.
    MoveAll {
        kind: ObjectKind,
        from: Ident,
        to: Ident,
    },
    /// `DROP OWNED BY role, …`: everything of theirs in this database, whatever it is.
    DropOwned {
        behavior: DropBehavior,
    },
    /// `REASSIGN OWNED BY role, … TO role`.
    ReassignOwned {
        roles: Vec<Ident>,
    },
    /// `IMPORT FOREIGN SCHEMA … INTO schema`: foreign tables whose names the other server has.
    ImportForeignSchema {
        into: Ident,
    },
    Comment {
        kind: ObjectKind,
        name: QualifiedName,
        column: Option<Ident>,
        on: Option<QualifiedName>,
        text: CommentText,
    },
    Grant {
        revoke: bool,
        kind: ObjectKind,
        names: Vec<QualifiedName>,
        /// Of `ALL … IN SCHEMA`.
        schemas: Vec<Ident>,
        /// The privileges in upper case, with the columns that they are for; `ALL` without columns is none.
        privileges: Vec<(String, Vec<Ident>)>,
        /// `TO PUBLIC WITH GRANT OPTION`.
        passed_on_by_all: bool,
    },
    // Data
    Select(Query),
    Insert(Dml),
    Update(Dml),
    Delete(Dml),
    Merge(Dml),
    Truncate {
        tables: Vec<QualifiedName>,
        /// Of `tables`, those whose descendants are left alone.
        only: Vec<QualifiedName>,
        restart_identity: bool,
        behavior: DropBehavior,
    },
    Copy {
        table: Option<QualifiedName>,
        from: bool,
        /// The columns that are named.
        columns: Vec<Ident>,
        /// `COPY ( query ) TO`.
        query: Option<Box<Statement>>,
    },
    // Maintenance
    Vacuum {
        full: bool,
        /// The option TRUNCATE.
        truncate: Option<bool>,
        tables: Vec<QualifiedName>,
        /// Of `tables`, those that are named by ONLY (18).
        only: Vec<QualifiedName>,
        /// The options as they are written, with lower-case names; the value is empty where there is none.
        options: Vec<(String, String)>,
        /// The lists of columns behind the tables.
        columns: Vec<(QualifiedName, Vec<Ident>)>,
    },
    Analyze {
        tables: Vec<QualifiedName>,
        /// Of `tables`, those that are named by ONLY (18).
        only: Vec<QualifiedName>,
        options: Vec<(String, String)>,
        columns: Vec<(QualifiedName, Vec<Ident>)>,
    },
    Cluster {
        table: Option<QualifiedName>,
        index: Option<Ident>,
    },
    Checkpoint,
    // Transactions and the session
    /// BEGIN and START TRANSACTION, with the transaction's modes as they are written.
    Begin {
        modes: String,
    },
    Commit {
        and_chain: bool,
    },
    Rollback {
        and_chain: bool,
    },
    Savepoint(Ident),
    ReleaseSavepoint(Ident),
    RollbackToSavepoint(Ident),
    Set(SetParameter),
    Reset {
        parameter: Option<String>,
    },
    SetConstraints {
        names: Option<Vec<QualifiedName>>,
        deferred: bool,
    },
    Lock {
        tables: Vec<(QualifiedName, Only)>,
        mode: crate::lock::LockMode,
        nowait: bool,
    },
    /// An anonymous code block: opaque inside.
    Do {
        language: Option<Ident>,
        body: String,
    },
    Call {
        procedure: QualifiedName,
    },
    /// Session commands without an effect on relations: SHOW, LISTEN, NOTIFY, DISCARD, PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH …
    Session {
        command: String,
        /// Of a prepared statement or a cursor; `CLOSE ALL` and `DEALLOCATE ALL` have none.
        name: Option<Ident>,
        /// What EXPLAIN plans, PREPARE keeps and DECLARE opens a cursor for, where it is understood.
        statement: Option<Box<Statement>>,
    },
    /// Not understood. `kind` is the leading words in upper case where they are words.
    Opaque(Opaque),
}

/// A statement that was not understood, kept with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// `ALTER OPERATOR FAMILY`, or empty where the text does not begin with words.
    pub kind: String,
    pub text: String,
    pub reason: String,
    /// The message with which every server refuses it as no SQL, where that is certain.
    pub refusal: Option<String>,
}

/// What is added to a publication or taken from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicationObjects {
    pub tables: Vec<PublishedTable>,
    /// TABLES IN SCHEMA; `None` is CURRENT_SCHEMA.
    pub schemas: Vec<Option<Ident>>,
}

/// A table of a publication and how much of it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTable {
    pub table: QualifiedName,
    /// ONLY is written: its children are not published with it.
    pub only: bool,
    /// The list of columns; empty where all are published.
    pub columns: Vec<Ident>,
    pub filter: Option<SqlExpr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicationChange {
    /// `CREATE PUBLICATION`.
    Create,
    Add,
    Set,
    Drop,
    /// `SET ( … )`.
    SetOptions,
}

/// What a new schema is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaName {
    Written(Ident),
    /// AUTHORIZATION CURRENT_ROLE: as the role of that parameter, `role` or `session_authorization`.
    OfRole(&'static str),
}

/// `ONLY name` or `name` with its descendants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Only(pub bool);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DropBehavior {
    #[default]
    Restrict,
    Cascade,
}

/// The kinds of objects that DROP, COMMENT, GRANT, ALTER … RENAME name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    Table,
    ForeignTable,
    Index,
    View,
    MaterializedView,
    Sequence,
    Column,
    Constraint,
    Type,
    Domain,
    Function,
    Procedure,
    Routine,
    Aggregate,
    Trigger,
    EventTrigger,
    Rule,
    Policy,
    Schema,
    Database,
    Extension,
    Statistics,
    Publication,
    Subscription,
    Role,
    Tablespace,
    Collation,
    Cast,
    Operator,
    OperatorClass,
    TextSearch,
    Language,
    Server,
    System,
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    #[default]
    Permanent,
    Unlogged,
    Temporary,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    pub name: QualifiedName,
    /// CREATE FOREIGN TABLE.
    pub foreign: bool,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub columns: Vec<ColumnDef>,
    pub constraints: Vec<TableConstraint>,
    /// `LIKE source INCLUDING …`: source and the options in upper case (`INCLUDING ALL`).
    pub like: Vec<(QualifiedName, Vec<String>)>,
    pub inherits: Vec<QualifiedName>,
    pub partition_of: Option<(QualifiedName, PartitionBound)>,
    pub partition_by: Option<PartitionBy>,
    pub of_type: Option<QualifiedName>,
    pub tablespace: Option<Ident>,
    pub on_commit: Option<OnCommit>,
    pub access_method: Option<Ident>,
    pub options: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionBy {
    /// `RANGE`, `LIST`, `HASH`.
    pub strategy: String,
    pub columns: Vec<Ident>,
    pub expressions: Vec<SqlExpr>,
}

impl PartitionBy {
    /// Whether the column is part of the key, by itself or within an expression.
    pub fn is_on(&self, column: &Ident) -> bool {
        self.columns.contains(column) || self.expressions.iter().any(|expr| expr.node.columns().contains(column))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionBound {
    Default,
    /// `FOR VALUES …`, as written.
    Values(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTableAs {
    pub name: QualifiedName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub with_data: bool,
    pub on_commit: Option<OnCommit>,
    pub columns: Vec<Ident>,
    /// Storage parameters, as CREATE TABLE has them.
    pub options: Vec<(String, String)>,
    pub query: Query,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    pub name: Ident,
    /// `None` only in a typed table or a partition, where the type comes from elsewhere.
    pub data_type: Option<DataType>,
    pub collation: Option<QualifiedName>,
    pub storage: Option<Ident>,
    pub compression: Option<Ident>,
    pub constraints: Vec<ColumnConstraint>,
}

impl ColumnDef {
    pub fn default_expr(&self) -> Option<&SqlExpr> {
        self.constraints.iter().find_map(|constraint| match &constraint.kind {
            ColumnConstraintKind::Default(expr) => Some(expr),
            _ => None,
        })
    }

    /// NOT NULL was written, or follows from PRIMARY KEY, identity or a serial type.
    pub fn is_not_null(&self) -> bool {
        self.data_type.as_ref().is_some_and(DataType::is_serial)
            || self.constraints.iter().any(|constraint| {
                matches!(
                    constraint.kind,
                    ColumnConstraintKind::NotNull { .. }
                        | ColumnConstraintKind::PrimaryKey
                        | ColumnConstraintKind::Identity { .. }
                )
            })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnConstraint {
    pub name: Option<Ident>,
    pub kind: ColumnConstraintKind,
    /// Storage parameters of a key's index, as of `CREATE INDEX`.
    pub options: Vec<(String, String)>,
    pub attributes: ConstraintAttributes,
    pub words: AttributeWords,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnConstraintKind {
    NotNull { no_inherit: bool },
    Null,
    Default(SqlExpr),
    Check { expr: SqlExpr, no_inherit: bool },
    Unique { nulls_not_distinct: bool },
    PrimaryKey,
    References(References),
    Generated { expr: SqlExpr, stored: bool },
    Identity { always: bool, options: SequenceOptions },
}

/// `[NOT] DEFERRABLE`, `INITIALLY …`, `NOT VALID`, `[NOT] ENFORCED`, as written; defaults are all off and enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConstraintAttributes {
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub not_valid: bool,
    pub enforced: bool,
}

/// What is written behind a constraint and is not kept of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeWords {
    /// `[NOT] ENFORCED` (18).
    pub enforcement: bool,
    /// The words contradict each other, or no such constraint has them.
    pub fault: Option<Box<Refusal>>,
}

/// ON COMMIT of a temporary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCommit {
    PreserveRows,
    DeleteRows,
    Drop,
}

/// What tells the rows of a published table apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key.
    #[default]
    Default,
    Nothing,
    /// The whole row.
    Full,
    Index(Ident),
}

impl ReplicaIdentity {
    pub const fn index(&self) -> Option<&Ident> {
        match self {
            Self::Index(index) => Some(index),
            _ => None,
        }
    }
}

impl ConstraintAttributes {
    /// What ALTER CONSTRAINT writes of them; `None` is not written.
    pub fn alter(&mut self, deferrable: Option<bool>, initially_deferred: Option<bool>) {
        if let Some(deferrable) = deferrable {
            self.deferrable = deferrable;
            self.initially_deferred &= deferrable;
        }
        if let Some(deferred) = initially_deferred {
            self.initially_deferred = deferred;
            self.deferrable |= deferred;
        }
    }
}

impl Default for ConstraintAttributes {
    fn default() -> Self {
        Self { deferrable: false, initially_deferred: false, not_valid: false, enforced: true }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    pub table: QualifiedName,
    /// Empty: the primary key of the referenced table.
    pub columns: Vec<Ident>,
    /// PERIOD is written before the last of the columns (18).
    pub period: bool,
    /// `FULL` or `PARTIAL`; `None` is MATCH SIMPLE.
    pub match_type: Option<String>,
    pub on_delete: Option<String>,
    pub on_update: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableConstraint {
    pub name: Option<Ident>,
    pub kind: TableConstraintKind,
    pub attributes: ConstraintAttributes,
    pub words: AttributeWords,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableConstraintKind {
    Check {
        expr: SqlExpr,
        no_inherit: bool,
    },
    Unique(KeyConstraint),
    PrimaryKey(KeyConstraint),
    ForeignKey {
        columns: Vec<Ident>,
        references: References,
        /// The last column is a PERIOD (18).
        period: bool,
    },
    Exclude {
        method: Option<Ident>,
        elements: Vec<(IndexElement, String)>,
        include: Vec<Ident>,
        /// Storage parameters of its index, as of `CREATE INDEX`.
        options: Vec<(String, String)>,
        predicate: Option<SqlExpr>,
    },
    /// `CONSTRAINT name NOT NULL column` (18).
    NotNull {
        column: Ident,
        no_inherit: bool,
    },
}

/// What `COMMENT ON … IS` sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommentText {
    Text(String),
    /// `NULL`, or the empty text, takes a comment away.
    None,
    /// A parameter.
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyConstraint {
    pub columns: Vec<Ident>,
    pub include: Vec<Ident>,
    pub nulls_not_distinct: bool,
    pub using_index: Option<Ident>,
    pub tablespace: Option<Ident>,
    /// Storage parameters of its index (`WITH (fillfactor = 70)`), as of `CREATE INDEX`.
    pub options: Vec<(String, String)>,
    /// The last column is WITHOUT OVERLAPS (18).
    pub without_overlaps: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterTable {
    /// The word after ALTER: `ALTER TABLE idx RENAME` locks differently from `ALTER INDEX idx RENAME`.
    pub keyword: ObjectKind,
    pub name: QualifiedName,
    pub if_exists: bool,
    pub only: Only,
    pub actions: Vec<AlterTableAction>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterTableAction {
    AddColumn {
        column: ColumnDef,
        if_not_exists: bool,
    },
    DropColumn {
        name: Ident,
        if_exists: bool,
        behavior: DropBehavior,
    },
    AlterColumnType {
        column: Ident,
        data_type: DataType,
        collation: Option<QualifiedName>,
        using: Option<SqlExpr>,
    },
    SetDefault {
        column: Ident,
        expr: SqlExpr,
    },
    DropDefault {
        column: Ident,
    },
    SetNotNull {
        column: Ident,
    },
    DropNotNull {
        column: Ident,
    },
    SetExpression {
        column: Ident,
        expr: SqlExpr,
    },
    DropExpression {
        column: Ident,
        if_exists: bool,
    },
    AddIdentity {
        column: Ident,
        always: bool,
        options: SequenceOptions,
    },
    SetIdentity {
        column: Ident,
        /// `SET GENERATED ALWAYS`, or `BY DEFAULT`; None where that is not said.
        always: Option<bool>,
        options: SequenceOptions,
    },
    DropIdentity {
        column: Ident,
        if_exists: bool,
    },
    /// `None` is DEFAULT.
    SetStatistics {
        column: Ident,
        target: Option<i32>,
    },
    SetColumnOptions {
        /// `OPTIONS ( … )` of a foreign table's column.
        foreign: bool,
        column: Ident,
    },
    SetStorage {
        column: Ident,
        storage: Ident,
    },
    SetCompression {
        column: Ident,
        method: Ident,
    },
    AddConstraint(TableConstraint),
    /// `None`: that attribute was not written.
    AlterConstraint {
        name: Ident,
        deferrable: Option<bool>,
        initially_deferred: Option<bool>,
        enforced: Option<bool>,
        inherit: Option<bool>,
        /// NOT VALID, which the grammar has and every version refuses.
        not_valid: bool,
        words: AttributeWords,
    },
    ValidateConstraint {
        name: Ident,
    },
    DropConstraint {
        name: Ident,
        if_exists: bool,
        behavior: DropBehavior,
    },
    /// ENABLE/DISABLE TRIGGER; `mode` is `ENABLE`, `DISABLE`, `ENABLE REPLICA`, `ENABLE ALWAYS`.
    Trigger {
        which: TriggerSelection,
        mode: String,
    },
    Rule {
        name: Ident,
        mode: String,
    },
    /// `ENABLE`, `DISABLE`, `FORCE`, `NO FORCE` ROW LEVEL SECURITY.
    RowSecurity {
        mode: String,
    },
    ClusterOn {
        index: Ident,
    },
    SetWithoutCluster,
    SetWithoutOids,
    SetAccessMethod {
        method: Option<Ident>,
    },
    SetTablespace {
        tablespace: Ident,
    },
    SetLogged,
    SetUnlogged,
    /// `OPTIONS ( … )` of a foreign table.
    ForeignOptions,
    SetOptions {
        options: Vec<String>,
    },
    ResetOptions {
        options: Vec<String>,
    },
    Inherit {
        parent: QualifiedName,
    },
    NoInherit {
        parent: QualifiedName,
    },
    OfType {
        name: QualifiedName,
    },
    NotOf,
    OwnerTo {
        role: Ident,
    },
    ReplicaIdentity(ReplicaIdentity),
    /// On a table: a partition with its bound; on an index: the index of a partition, `bound` is `None`.
    AttachPartition {
        partition: QualifiedName,
        bound: Option<PartitionBound>,
    },
    DetachPartition {
        partition: QualifiedName,
        concurrently: bool,
        finalize: bool,
    },
    RenameTo {
        name: Ident,
    },
    RenameColumn {
        from: Ident,
        to: Ident,
    },
    RenameConstraint {
        from: Ident,
        to: Ident,
    },
    SetSchema {
        schema: Ident,
    },
    DependsOnExtension {
        extension: Ident,
        no: bool,
    },
    /// A form that was not understood.
    Unknown {
        text: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerSelection {
    Named(Ident),
    All,
    User,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateIndex {
    pub name: Option<QualifiedName>,
    pub table: QualifiedName,
    pub only: Only,
    pub unique: bool,
    pub concurrently: bool,
    pub if_not_exists: bool,
    /// `None` is btree.
    pub method: Option<Ident>,
    pub elements: Vec<IndexElement>,
    pub include: Vec<Ident>,
    pub nulls_not_distinct: bool,
    pub options: Vec<(String, String)>,
    pub tablespace: Option<Ident>,
    pub predicate: Option<SqlExpr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexElement {
    pub key: IndexKey,
    pub collation: Option<QualifiedName>,
    pub opclass: Option<QualifiedName>,
    /// The operator class's own.
    pub options: Vec<(String, String)>,
    pub descending: bool,
    /// `None`: not written.
    pub nulls_first: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexKey {
    Column(Ident),
    Expr(SqlExpr),
}

impl IndexKey {
    /// The column, where the key is one by itself.
    pub const fn column(&self) -> Option<&Ident> {
        match self {
            Self::Column(column) => Some(column),
            Self::Expr(_) => None,
        }
    }

    /// Whether the key is the column or an expression that names it.
    pub fn uses(&self, column: &Ident) -> bool {
        match self {
            Self::Column(known) => known == column,
            Self::Expr(expr) => expr.node.columns().contains(column),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reindex {
    pub target: ReindexTarget,
    pub concurrently: bool,
    /// The first option in parentheses that came with 14.
    pub option: Option<Ident>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReindexTarget {
    Index(QualifiedName),
    Table(QualifiedName),
    Schema(Ident),
    Database(Option<Ident>),
    System(Option<Ident>),
}

/// `DROP kind name, …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropObjects {
    pub kind: ObjectKind,
    pub names: Vec<QualifiedName>,
    /// The input arguments' types of each of `names` that is a routine; `None` where no list is written or understood.
    pub arguments: Vec<Option<Vec<DataType>>>,
    pub if_exists: bool,
    pub behavior: DropBehavior,
    /// DROP INDEX CONCURRENTLY.
    pub concurrently: bool,
    /// The table of a trigger, rule or policy.
    pub on: Option<QualifiedName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateView {
    pub name: QualifiedName,
    pub or_replace: bool,
    pub temporary: bool,
    pub materialized: bool,
    pub if_not_exists: bool,
    pub with_data: bool,
    pub columns: Vec<Ident>,
    pub query: Query,
    /// WITH CHECK OPTION is written.
    pub check_option: bool,
    /// The storage parameters, with lower-case names.
    pub options: Vec<(String, String)>,
}

/// A query, as far as it names relations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub text: String,
    /// The text as tokens with one blank between them: words in small letters, constants as `''`, quoted names as `""`.
    /// Nothing that is quoted can be taken for a key word here.
    pub words: String,
    /// Relations that are read, in order of appearance, each once; names of common table expressions left out.
    pub relations: Vec<QualifiedName>,
    /// Of `relations`, those that stand behind ONLY and nowhere without it.
    pub only: Vec<QualifiedName>,
    /// Columns named anywhere in it, qualified or not; each once.
    pub columns: Vec<Ident>,
    /// The same, with the names that they stand behind; each pair once.
    pub qualified: Vec<(Option<Ident>, Ident)>,
    /// Fields that are taken of composite values, as in `(column).field`.
    pub fields: Vec<Ident>,
    /// What relations are called in it, by their aliases or own names.
    pub aliases: Vec<(Ident, QualifiedName)>,
    /// Functions called; each once.
    pub functions: Vec<QualifiedName>,
    /// Types that values are cast to; each once.
    pub types: Vec<QualifiedName>,
    /// Relations locked by FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE or FOR KEY SHARE.
    pub locked: Vec<QualifiedName>,
    /// `true` where a `*` is selected.
    pub star: bool,
    /// What stands before the `*` that are selected, where something stands before each.
    pub stars: Vec<Ident>,
    /// The output columns where they are simple: (name, source relation and column where it is one, type where a cast says it).
    pub output: Vec<OutputColumn>,
    /// The columns that it groups by at its own level, with what they stand behind.
    pub grouped: Vec<(Option<Ident>, Ident)>,
    /// Data-modifying common table expressions.
    pub modifies: Vec<Statement>,
    /// The SELECT, or those that a set operation joins, where all of it was read; else none.
    pub selects: Vec<Select>,
    /// With `selects`: the common table expressions.
    pub with: Vec<CommonTable>,
    /// WITH RECURSIVE.
    pub recursive: bool,
    /// How the `selects` are joined, where it is a set operation.
    pub set_operation: Option<SetOperation>,
    /// With several `selects`: the order of all.
    pub order: Vec<SqlExpr>,
    /// With several `selects`: see [`Select::limits`].
    pub limits: Vec<(&'static str, SqlExpr)>,
}

/// A set operation between two operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOperation {
    /// UNION, INTERSECT, EXCEPT.
    pub name: &'static str,
    /// Rows are not told apart.
    pub all: bool,
    pub left: Box<SetOperand>,
    pub right: Box<SetOperand>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOperand {
    /// By its place among the query's `selects`.
    Select(usize),
    Operation(SetOperation),
}

/// An item of a WITH clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonTable {
    pub name: Ident,
    /// Names for its first columns.
    pub columns: Vec<Ident>,
    /// What it reads or changes; without SELECTs where that is not understood.
    pub query: Query,
    /// It changes rows, and returns none.
    pub silent: bool,
}

/// One SELECT by its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    pub distinct: bool,
    /// The expressions of DISTINCT ON.
    pub distinct_on: Vec<SqlExpr>,
    /// The part of a change of rows that it is, as the server calls it: UPDATE, VALUES, RETURNING, MERGE WHEN conditions.
    /// The output are its values, the first source is the target.
    pub changes: Option<&'static str>,
    /// What a change returns.
    pub returning: Vec<SelectOutput>,
    pub output: Vec<SelectOutput>,
    /// The rows of VALUES; `output` is the first of them.
    pub rows: Vec<Vec<SqlExpr>>,
    /// What FROM names, left to right.
    pub sources: Vec<SelectSource>,
    /// The conditions of joins, each with the places of the sources that it sees.
    pub joins: Vec<(Range<usize>, SqlExpr)>,
    /// The columns that USING makes one of two.
    pub merged: Vec<Ident>,
    /// There is a NATURAL join, which finds such columns itself.
    pub natural: bool,
    pub predicate: Option<SqlExpr>,
    /// GROUP BY is written.
    pub groups: bool,
    pub group: Vec<SqlExpr>,
    pub having: Option<SqlExpr>,
    /// The names of WINDOW.
    pub windows: Vec<Ident>,
    pub order: Vec<SqlExpr>,
    /// The expressions of OFFSET and LIMIT, with the words that the server has for them.
    pub limits: Vec<(&'static str, SqlExpr)>,
    /// FETCH … WITH TIES.
    pub ties: bool,
    /// FOR UPDATE and its kin.
    pub locking: Vec<Locking>,
    /// The places of sources whose columns an outer join may leave NULL.
    pub nullable: Vec<usize>,
}

/// `FOR UPDATE [OF …]` of a SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locking {
    /// As messages name it: FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE.
    pub strength: &'static str,
    /// The sources behind OF; none where all are meant.
    pub of: Vec<Ident>,
    pub skip_locked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectOutput {
    /// `*`, or `name.*`.
    Star(Option<Ident>),
    Column(OutputColumn),
}

/// An item of FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectSource {
    /// What it is called in the query; only a subquery can be without a name.
    pub alias: Option<Ident>,
    /// The name is written behind it, and is not its own.
    pub aliased: bool,
    pub kind: SourceKind,
    /// Names for its first columns.
    pub columns: Vec<Ident>,
    /// It is there, but cannot be named: the target of a MERGE where a row has no match.
    pub hidden: bool,
}

impl SelectSource {
    /// The row that ON CONFLICT DO UPDATE could not insert.
    pub fn is_excluded(&self) -> bool {
        self.alias.as_ref().is_some_and(|alias| *alias == "excluded")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    Relation(QualifiedName),
    Query {
        query: Box<Query>,
        lateral: bool,
    },
    /// A call of one function, without a list of the columns that it gives.
    Function {
        call: Box<SqlExpr>,
        ordinality: bool,
    },
    /// A function of another form, or a query that is not read.
    Unknown,
}

impl Query {
    /// Whether it may read that column of a relation, which `is_relation` tells by the name that is written. A qualifier
    /// that is no relation's may be anything's.
    pub(crate) fn reads_column(&self, column: &Ident, is_relation: impl Fn(&QualifiedName) -> bool) -> bool {
        self.qualified.iter().filter(|(_, name)| name == column).any(|(qualifier, _)| {
            let called = |alias: &Ident| Some(alias) == qualifier.as_ref();
            let mut meant = self.aliases.iter().filter(|(alias, _)| called(alias)).peekable();
            meant.peek().is_none() || meant.any(|(_, name)| is_relation(name))
        })
    }

    /// Changes every name of a relation in it.
    pub(crate) fn rename_relations(&mut self, rename: &dyn Fn(&mut QualifiedName)) {
        let aliases = self.aliases.iter_mut().map(|(_, name)| name);
        self.relations.iter_mut().chain(&mut self.only).chain(&mut self.locked).chain(aliases).for_each(rename);
    }

    /// Whether a `*` may stand for the columns of a relation.
    pub(crate) fn selects_all_of(&self, is_relation: impl Fn(&QualifiedName) -> bool) -> bool {
        let meant = |star: &Ident| {
            let mut meant = self.aliases.iter().filter(|(alias, _)| alias == star).peekable();
            meant.peek().is_none() || meant.any(|(_, name)| is_relation(name))
        };
        self.star && (self.stars.is_empty() || self.stars.iter().any(meant))
    }

    /// Whether these tokens stand somewhere in it, one behind the other.
    pub fn says(&self, wanted: &[&str]) -> bool {
        let words: Vec<&str> = self.words.split(' ').collect();
        words.windows(wanted.len().max(1)).any(|found| found == wanted)
    }

    /// `FOR UPDATE` and its kin, the strongest that it says.
    pub(crate) fn lock_strength(&self) -> Option<&'static str> {
        let strengths = [
            (&["for", "update"][..], "FOR UPDATE"),
            (&["for", "no", "key", "update"], "FOR NO KEY UPDATE"),
            (&["for", "share"], "FOR SHARE"),
            (&["for", "key", "share"], "FOR KEY SHARE"),
        ];
        strengths.into_iter().find(|(words, _)| self.says(words)).map(|(_, strength)| strength)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    pub name: Option<Ident>,
    pub expr: SqlExpr,
}

/// INSERT, UPDATE, DELETE or MERGE on one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dml {
    pub table: QualifiedName,
    pub only: Only,
    /// Columns written: INSERT's list, UPDATE's and MERGE's SET targets; empty where INSERT names none.
    pub columns: Vec<Ident>,
    /// UPDATE's and DELETE's predicate.
    pub predicate: Option<SqlExpr>,
    /// FROM, USING, the source query, subqueries.
    pub query: Query,
    /// INSERT … ON CONFLICT DO UPDATE.
    pub on_conflict_update: bool,
    /// The columns that it sets.
    pub conflict_columns: Vec<Ident>,
    /// INSERT … ON CONFLICT.
    pub conflict: Option<ConflictTarget>,
    /// The number of rows of INSERT … VALUES.
    pub values_rows: Option<u32>,
    /// Of each place in the rows of INSERT … VALUES, what stands there.
    pub given: Vec<Given>,
    /// The rows are not all as long as the first one; of an UPDATE, columns that it sets at once get another number of values.
    pub uneven: bool,
    /// INSERT … OVERRIDING … VALUE.
    pub overriding: Option<Overriding>,
    /// The values of INSERT … VALUES with one row; of UPDATE those of its columns, where each has one of its own.
    pub values: Vec<SqlExpr>,
    /// The WHEN clauses of MERGE, in order; of nothing else.
    pub merge: Vec<MergeClause>,
    /// What the join condition of MERGE names behind a dot: what stands before it, the relation that this means, and the
    /// column.
    pub merge_on: Vec<(Ident, QualifiedName, Ident)>,
}

/// `WHEN … THEN …` of MERGE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeClause {
    pub when: MergeWhen,
    /// BY SOURCE or BY TARGET is written (17).
    pub by: bool,
    /// AND with a condition.
    pub condition: bool,
    pub action: MergeAction,
}

/// Which rows a clause of MERGE is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeWhen {
    Matched,
    /// Rows of the source without one in the target.
    NotMatched,
    /// Rows of the target without one in the source (17).
    NotMatchedBySource,
}

/// What stands at one place of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// A row has something else than DEFAULT there.
    pub value: bool,
    /// A row has DEFAULT there.
    pub default: bool,
    /// No row has anything else than NULL there.
    pub null: bool,
}

/// Which values an identity column takes where rows have some for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// Those of the rows.
    System,
    /// Those of its sequence.
    User,
}

/// `INSERT … VALUES …` of MERGE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeInsert {
    /// The columns that are named; none where all are meant.
    pub columns: Vec<Ident>,
    pub overriding: Option<Overriding>,
    /// Of each value, what it is.
    pub given: Vec<Given>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeAction {
    Insert(MergeInsert),
    Update(Vec<Ident>),
    Delete,
    Nothing,
}

/// Which conflict INSERT … ON CONFLICT means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictTarget {
    Any,
    Columns(Vec<Ident>),
    Constraint(Ident),
    /// With an expression among them.
    Expressions(Vec<SqlExpr>),
    /// The condition of a partial index, collations and operator classes.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSequence {
    pub name: QualifiedName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub options: SequenceOptions,
}

/// What was written of AS, OWNED BY, RESTART and the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceOptions {
    pub data_type: Option<DataType>,
    /// `Some(None)` is OWNED BY NONE.
    pub owned_by: Option<Option<(QualifiedName, Ident)>>,
    pub restart: bool,
    /// RESTART WITH a number.
    pub restart_with: Option<i64>,
    /// `SEQUENCE NAME`, of an identity column's sequence.
    pub name: Option<QualifiedName>,
    /// The other options as written, in upper case: `INCREMENT BY 5`, `NO CYCLE`.
    pub other: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeDefinition {
    Enum(Vec<String>),
    Composite(Vec<(Ident, DataType)>),
    Range,
    Base,
    Shell,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterTypeAction {
    AddValue {
        value: String,
        if_not_exists: bool,
        before: Option<String>,
        after: Option<String>,
    },
    RenameValue {
        from: String,
        to: String,
    },
    RenameTo(Ident),
    SetSchema(Ident),
    OwnerTo(Ident),
    AddAttribute {
        name: Ident,
        data_type: DataType,
        behavior: DropBehavior,
    },
    DropAttribute {
        name: Ident,
        if_exists: bool,
        behavior: DropBehavior,
    },
    AlterAttribute {
        name: Ident,
        data_type: DataType,
        behavior: DropBehavior,
    },
    RenameAttribute {
        from: Ident,
        to: Ident,
        behavior: DropBehavior,
    },
    /// Several attribute actions in one statement.
    Several(Vec<AlterTypeAction>),
    SetProperties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateDomain {
    pub name: QualifiedName,
    pub data_type: DataType,
    pub collation: Option<QualifiedName>,
    pub default: Option<SqlExpr>,
    pub not_null: bool,
    pub not_null_name: Option<Ident>,
    pub checks: Vec<(Option<Ident>, SqlExpr)>,
    /// What is written a second time.
    pub repeated: Option<Repeated>,
}

/// A constraint of a domain that may stand once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// NULL and NOT NULL.
    Nullability,
    NotNull,
    Default,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterDomainAction {
    SetDefault(SqlExpr),
    DropDefault,
    SetNotNull,
    DropNotNull,
    AddConstraint {
        name: Option<Ident>,
        kind: TableConstraintKind,
        not_valid: bool,
        /// What is written behind it is not for such a constraint.
        fault: Option<Box<Refusal>>,
    },
    DropConstraint {
        name: Ident,
        if_exists: bool,
    },
    ValidateConstraint {
        name: Ident,
    },
    RenameConstraint {
        from: Ident,
        to: Ident,
    },
    RenameTo(Ident),
    SetSchema(Ident),
    OwnerTo(Ident),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateFunction {
    pub name: QualifiedName,
    pub or_replace: bool,
    pub procedure: bool,
    /// The input arguments' types in order; `None` where a type was not understood.
    pub arguments: Vec<Option<DataType>>,
    /// Their names.
    pub argument_names: Vec<Option<Ident>>,
    /// How many of them have a default.
    pub defaults: usize,
    /// `None` for a procedure or where it was not understood; `trigger` is a type here.
    pub returns: Option<DataType>,
    /// RETURNS SETOF or TABLE.
    pub returns_set: bool,
    pub language: Option<Ident>,
    /// The default is VOLATILE.
    pub volatility: Volatility,
    pub strict: bool,
    pub body: Option<String>,
    /// The body's statements where its language is SQL; `None` where it is another one or was not understood.
    pub statements: Option<Vec<Statement>>,
    /// The body is of the SQL standard's form (14): it depends on what it names.
    pub standard_body: bool,
    /// The types of all arguments and of the columns of RETURNS TABLE, where some of them are output alone; else none.
    pub all_arguments: Vec<Option<DataType>>,
    /// The types of the arguments that are OUT or INOUT, or of the columns of RETURNS TABLE.
    pub results: Vec<Option<DataType>>,
    pub faults: RoutineFaults,
}

/// What no routine can be said to be, whatever is in the catalog, in the order in which the server finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutineFaults {
    /// Of its options.
    pub options: Option<Box<Refusal>>,
    /// Of its arguments, behind their types.
    pub arguments: Option<Box<Refusal>>,
    /// Of its result and its body.
    pub result: Option<Box<Refusal>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTrigger {
    pub name: Ident,
    pub table: QualifiedName,
    pub or_replace: bool,
    pub constraint: bool,
    /// `BEFORE`, `AFTER`, `INSTEAD OF`.
    pub timing: String,
    /// `INSERT`, `UPDATE`, `DELETE`, `TRUNCATE`.
    pub events: Vec<String>,
    pub update_of: Vec<Ident>,
    pub for_each_row: bool,
    /// REFERENCING OLD or NEW TABLE.
    pub transition_tables: bool,
    /// What REFERENCING says that no such trigger can have.
    pub transition_fault: Option<Box<Refusal>>,
    pub when: Option<SqlExpr>,
    pub from: Option<QualifiedName>,
    pub attributes: ConstraintAttributes,
    pub words: AttributeWords,
    pub function: QualifiedName,
}

/// `SET [SESSION | LOCAL] name TO value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetParameter {
    pub name: String,
    /// `None` is DEFAULT.
    pub value: Option<String>,
    pub local: bool,
}

impl Statement {
    /// BEGIN by itself.
    pub const BEGIN: Self = Self::Begin { modes: String::new() };

    /// The command as the manual's "SQL Commands" names it: `ALTER TABLE`, `CREATE INDEX`, `INSERT`.
    pub fn command(&self) -> &str {
        match self {
            Self::CreateTable(_) => "CREATE TABLE",
            Self::CreateTableAs(_) => "CREATE TABLE AS",
            Self::AlterTable(alter) => match alter.keyword {
                ObjectKind::Index => "ALTER INDEX",
                ObjectKind::View => "ALTER VIEW",
                ObjectKind::MaterializedView => "ALTER MATERIALIZED VIEW",
                ObjectKind::Sequence => "ALTER SEQUENCE",
                ObjectKind::ForeignTable => "ALTER FOREIGN TABLE",
                _ => "ALTER TABLE",
            },
            Self::CreateIndex(_) => "CREATE INDEX",
            Self::Reindex(_) => "REINDEX",
            Self::Drop(drop) => drop.kind.drop_command(),
            Self::CreateView(view) if view.materialized => "CREATE MATERIALIZED VIEW",
            Self::CreateView(_) => "CREATE VIEW",
            Self::RefreshMaterializedView { .. } => "REFRESH MATERIALIZED VIEW",
            Self::CreateSequence(_) => "CREATE SEQUENCE",
            Self::AlterSequence { .. } => "ALTER SEQUENCE",
            Self::CreateType { .. } => "CREATE TYPE",
            Self::AlterType { .. } => "ALTER TYPE",
            Self::CreateDomain(_) => "CREATE DOMAIN",
            Self::AlterDomain { .. } => "ALTER DOMAIN",
            Self::CreateFunction(function) if function.procedure => "CREATE PROCEDURE",
            Self::CreateFunction(_) => "CREATE FUNCTION",
            Self::CreateTrigger(_) => "CREATE TRIGGER",
            Self::CreateRule { .. } => "CREATE RULE",
            Self::CreatePolicy { .. } => "CREATE POLICY",
            Self::AlterPolicy { .. } => "ALTER POLICY",
            Self::AlterOnTable { kind, .. } | Self::AlterOther { kind, .. } => kind.alter_command(),
            Self::CreateSchema { .. } => "CREATE SCHEMA",
            Self::CreateExtension { .. } => "CREATE EXTENSION",
            Self::AlterExtensionMember { .. } => "ALTER EXTENSION",
            Self::CreateStatistics { .. } => "CREATE STATISTICS",
            Self::CreatePublication { .. } => "CREATE PUBLICATION",
            Self::AlterPublication { .. } => "ALTER PUBLICATION",
            Self::CreateOther { kind, .. } => kind.create_command(),
            Self::AlterStatisticsTarget { .. } => "ALTER STATISTICS",
            Self::SecurityLabel { .. } => "SECURITY LABEL",
            Self::MoveAll { kind: ObjectKind::Index, .. } => "ALTER INDEX",
            Self::MoveAll { kind: ObjectKind::MaterializedView, .. } => "ALTER MATERIALIZED VIEW",
            Self::MoveAll { .. } => "ALTER TABLE",
            Self::DropOwned { .. } => "DROP OWNED",
            Self::ReassignOwned { .. } => "REASSIGN OWNED",
            Self::ImportForeignSchema { .. } => "IMPORT FOREIGN SCHEMA",
            Self::Comment { .. } => "COMMENT",
            Self::Grant { revoke: true, .. } => "REVOKE",
            Self::Grant { .. } => "GRANT",
            Self::Select(_) => "SELECT",
            Self::Insert(_) => "INSERT",
            Self::Update(_) => "UPDATE",
            Self::Delete(_) => "DELETE",
            Self::Merge(_) => "MERGE",
            Self::Truncate { .. } => "TRUNCATE",
            Self::Copy { .. } => "COPY",
            Self::Vacuum { .. } => "VACUUM",
            Self::Analyze { .. } => "ANALYZE",
            Self::Cluster { .. } => "CLUSTER",
            Self::Checkpoint => "CHECKPOINT",
            Self::Begin { .. } => "BEGIN",
            Self::Commit { .. } => "COMMIT",
            Self::Rollback { .. } => "ROLLBACK",
            Self::Savepoint(_) => "SAVEPOINT",
            Self::ReleaseSavepoint(_) => "RELEASE SAVEPOINT",
            Self::RollbackToSavepoint(_) => "ROLLBACK TO SAVEPOINT",
            Self::Set(_) => "SET",
            Self::Reset { .. } => "RESET",
            Self::SetConstraints { .. } => "SET CONSTRAINTS",
            Self::Lock { .. } => "LOCK",
            Self::Do { .. } => "DO",
            Self::Call { .. } => "CALL",
            Self::Session { command, .. } => command,
            Self::Opaque(opaque) => &opaque.kind,
        }
    }
}

impl ObjectKind {
    const fn drop_command(self) -> &'static str {
        match self {
            Self::Table => "DROP TABLE",
            Self::ForeignTable => "DROP FOREIGN TABLE",
            Self::Index => "DROP INDEX",
            Self::View => "DROP VIEW",
            Self::MaterializedView => "DROP MATERIALIZED VIEW",
            Self::Sequence => "DROP SEQUENCE",
            Self::Type => "DROP TYPE",
            Self::Domain => "DROP DOMAIN",
            Self::Function => "DROP FUNCTION",
            Self::Procedure => "DROP PROCEDURE",
            Self::Routine => "DROP ROUTINE",
            Self::Aggregate => "DROP AGGREGATE",
            Self::Trigger => "DROP TRIGGER",
            Self::EventTrigger => "DROP EVENT TRIGGER",
            Self::Rule => "DROP RULE",
            Self::Policy => "DROP POLICY",
            Self::Schema => "DROP SCHEMA",
            Self::Database => "DROP DATABASE",
            Self::Extension => "DROP EXTENSION",
            Self::Statistics => "DROP STATISTICS",
            Self::Publication => "DROP PUBLICATION",
            Self::Subscription => "DROP SUBSCRIPTION",
            Self::Role => "DROP ROLE",
            Self::Tablespace => "DROP TABLESPACE",
            Self::Collation => "DROP COLLATION",
            Self::Cast => "DROP CAST",
            Self::Operator => "DROP OPERATOR",
            Self::OperatorClass => "DROP OPERATOR CLASS",
            Self::TextSearch => "DROP TEXT SEARCH",
            Self::Language => "DROP LANGUAGE",
            Self::Server => "DROP SERVER",
            Self::Column | Self::Constraint | Self::System | Self::Other => "DROP",
        }
    }

    const fn alter_command(self) -> &'static str {
        match self {
            Self::Table => "ALTER TABLE",
            Self::Trigger => "ALTER TRIGGER",
            Self::Rule => "ALTER RULE",
            Self::Policy => "ALTER POLICY",
            Self::Function => "ALTER FUNCTION",
            Self::Procedure => "ALTER PROCEDURE",
            Self::Routine => "ALTER ROUTINE",
            Self::Aggregate => "ALTER AGGREGATE",
            Self::Schema => "ALTER SCHEMA",
            Self::Database => "ALTER DATABASE",
            Self::System => "ALTER SYSTEM",
            Self::Extension => "ALTER EXTENSION",
            Self::Statistics => "ALTER STATISTICS",
            Self::Publication => "ALTER PUBLICATION",
            Self::Subscription => "ALTER SUBSCRIPTION",
            Self::Role => "ALTER ROLE",
            Self::Tablespace => "ALTER TABLESPACE",
            Self::Collation => "ALTER COLLATION",
            Self::EventTrigger => "ALTER EVENT TRIGGER",
            Self::Operator => "ALTER OPERATOR",
            Self::OperatorClass => "ALTER OPERATOR CLASS",
            Self::TextSearch => "ALTER TEXT SEARCH",
            Self::Language => "ALTER LANGUAGE",
            Self::Server => "ALTER SERVER",
            _ => "ALTER",
        }
    }

    const fn create_command(self) -> &'static str {
        match self {
            Self::Aggregate => "CREATE AGGREGATE",
            Self::Cast => "CREATE CAST",
            Self::Collation => "CREATE COLLATION",
            Self::Database => "CREATE DATABASE",
            Self::EventTrigger => "CREATE EVENT TRIGGER",
            Self::Language => "CREATE LANGUAGE",
            Self::Operator => "CREATE OPERATOR",
            Self::OperatorClass => "CREATE OPERATOR CLASS",
            Self::Role => "CREATE ROLE",
            Self::Server => "CREATE SERVER",
            Self::Subscription => "CREATE SUBSCRIPTION",
            Self::Tablespace => "CREATE TABLESPACE",
            Self::TextSearch => "CREATE TEXT SEARCH",
            _ => "CREATE",
        }
    }
}
