//! The schema editor's statements, built by hand: what they lock, and what the catalog is after them.

use zdm_postgres::data_type::DataType;
use zdm_postgres::effects::Outcome;
use zdm_postgres::expr::{ExprNode, SqlExpr};
use zdm_postgres::lock::LockMode;
use zdm_postgres::name::{Ident, QualifiedName};
use zdm_postgres::statement::*;
use zdm_postgres::{Catalog, PgVersion, Session};

fn column(name: &str, data_type: DataType, constraints: Vec<ColumnConstraintKind>) -> ColumnDef {
    ColumnDef {
        name: Ident::new(name),
        data_type: Some(data_type),
        collation: None,
        storage: None,
        compression: None,
        constraints: constraints
            .into_iter()
            .map(|kind| ColumnConstraint {
                name: None,
                kind,
                options: Vec::new(),
                attributes: ConstraintAttributes::default(),
                words: AttributeWords::default(),
            })
            .collect(),
    }
}

fn identity() -> Vec<ColumnConstraintKind> {
    vec![
        ColumnConstraintKind::NotNull { no_inherit: false },
        ColumnConstraintKind::PrimaryKey,
        ColumnConstraintKind::Identity { always: false, options: SequenceOptions::default() },
    ]
}

fn create(name: &str, columns: Vec<ColumnDef>) -> Statement {
    Statement::CreateTable(CreateTable {
        foreign: false,
        name: QualifiedName::new(name),
        if_not_exists: false,
        persistence: Persistence::Permanent,
        columns,
        constraints: Vec::new(),
        like: Vec::new(),
        inherits: Vec::new(),
        partition_of: None,
        partition_by: None,
        of_type: None,
        tablespace: None,
        access_method: None,
        on_commit: None,
        options: Vec::new(),
    })
}

fn alter(name: &str, action: AlterTableAction) -> Statement {
    Statement::AlterTable(AlterTable {
        keyword: ObjectKind::Table,
        name: QualifiedName::new(name),
        if_exists: false,
        only: Only(false),
        actions: vec![action],
    })
}

fn foreign_key(name: &str, column: &str, table: &str) -> AlterTableAction {
    AlterTableAction::AddConstraint(TableConstraint {
        name: Some(Ident::new(name)),
        kind: TableConstraintKind::ForeignKey {
            period: false,
            columns: vec![Ident::new(column)],
            references: References {
                table: QualifiedName::new(table),
                columns: vec![Ident::new("id")],
                period: false,
                match_type: None,
                on_delete: None,
                on_update: None,
            },
        },
        words: AttributeWords::default(),
        attributes: ConstraintAttributes {
            deferrable: true,
            initially_deferred: true,
            ..ConstraintAttributes::default()
        },
    })
}

/// `shop_customer` and `shop_order`, committed.
fn shop() -> Session {
    let mut session = Session::new(Catalog::new(), PgVersion::major(16));
    for statement in [
        create("shop_customer", vec![column("id", DataType::named("bigint"), identity())]),
        create(
            "shop_order",
            vec![
                column("id", DataType::named("bigint"), identity()),
                column("customer_id", DataType::named("bigint"), Vec::new()),
                column("note", DataType::named("varchar").with_modifiers([50]), Vec::new()),
            ],
        ),
    ] {
        run(&mut session, &statement);
    }
    session
}

fn run(session: &mut Session, statement: &Statement) -> Outcome {
    let outcome = session.execute(statement);
    assert_eq!(outcome.error, None, "{statement:?}");
    outcome
}

fn locks(outcome: &Outcome) -> Vec<String> {
    outcome.effects.locks.iter().map(|(name, mode)| format!("{name} {}", mode.initials())).collect()
}

#[test]
fn create_table_names_what_it_makes() {
    let session = shop();
    let catalog = session.catalog();
    assert!(catalog.sequence(&"shop_order_id_seq".into()).is_some());
    assert!(catalog.index(&"shop_order_pkey".into()).is_some());
    let table = catalog.table(&"shop_order".into()).expect("it was created");
    assert!(table.column("id").is_some_and(|column| column.not_null));
    assert!(table.column("note").is_some_and(|column| !column.not_null));
}

#[test]
fn a_foreign_key_locks_both_tables_and_reads_them() {
    let mut session = shop();
    let outcome =
        run(&mut session, &alter("shop_order", foreign_key("order_customer_fk", "customer_id", "shop_customer")));
    assert_eq!(locks(&outcome), ["shop_customer SRE", "shop_customer_pkey AS", "shop_order SRE", "shop_order_pkey AS"]);
    assert_eq!(outcome.effects.scans.len(), 2);
    let blocks = &outcome.effects.blocks[&QualifiedName::new("shop_customer")];
    assert!(blocks.insert && blocks.update && !blocks.select);
    let dropped = run(
        &mut session,
        &alter(
            "shop_order",
            AlterTableAction::DropConstraint {
                name: Ident::new("order_customer_fk"),
                if_exists: false,
                behavior: DropBehavior::Restrict,
            },
        ),
    );
    assert_eq!(locks(&dropped), ["shop_customer AE", "shop_order AE"]);
}

#[test]
fn locks_are_held_by_the_statement_that_took_them() {
    let mut session = shop();
    run(&mut session, &Statement::BEGIN);
    let add = alter(
        "shop_order",
        AlterTableAction::AddColumn { column: column("n", DataType::named("int"), Vec::new()), if_not_exists: false },
    );
    run(&mut session, &add);
    let index = Statement::CreateIndex(CreateIndex {
        name: Some("shop_order_n".into()),
        table: "shop_order".into(),
        only: Only(false),
        unique: false,
        concurrently: false,
        if_not_exists: false,
        method: None,
        elements: vec![IndexElement {
            key: IndexKey::Column(Ident::new("n")),
            collation: None,
            opclass: None,
            options: Vec::new(),
            descending: false,
            nulls_first: None,
        }],
        include: Vec::new(),
        nulls_not_distinct: false,
        options: Vec::new(),
        tablespace: None,
        predicate: None,
    });
    let outcome = run(&mut session, &index);
    assert_eq!(locks(&outcome), ["shop_order S", "shop_order_n AE"]);
    let held = outcome.held[&QualifiedName::new("shop_order")];
    assert_eq!((held.mode, held.by), (LockMode::AccessExclusive, 3));
    run(&mut session, &Statement::Rollback { and_chain: false });
    assert!(session.held().is_empty());
    assert!(session.catalog().index(&"shop_order_n".into()).is_none());
}

#[test]
fn a_volatile_default_rewrites_and_an_unknown_one_may() {
    let default = |function: &str| {
        let node = ExprNode::Call { function: function.into(), args: Vec::new(), keyword: false };
        alter(
            "shop_order",
            AlterTableAction::AddColumn {
                column: column(
                    "n",
                    DataType::named("uuid"),
                    vec![ColumnConstraintKind::Default(SqlExpr::new(format!("{function}()"), node))],
                ),
                if_not_exists: false,
            },
        )
    };
    let volatile = run(&mut shop(), &default("gen_random_uuid"));
    assert!(volatile.effects.rewrites.contains(&QualifiedName::new("shop_order")));
    assert!(volatile.effects.index_builds.contains(&QualifiedName::new("shop_order_pkey")));
    let unknown = run(&mut shop(), &default("my_uuid"));
    assert!(unknown.effects.rewrites.is_empty());
    assert_eq!(unknown.effects.uncertain.len(), 1);
}

#[test]
fn what_the_catalog_lacks_is_refused_unless_it_is_incomplete() {
    let drop = Statement::Drop(DropObjects {
        arguments: Vec::new(),
        kind: ObjectKind::Table,
        names: vec!["missing".into()],
        if_exists: false,
        behavior: DropBehavior::Restrict,
        concurrently: false,
        on: None,
    });
    let mut session = shop();
    let refusal = session.execute(&drop).error.expect("the catalog is complete");
    assert_eq!((refusal.sqlstate, refusal.message.as_str()), ("42P01", "table \"missing\" does not exist"));
    session.catalog_mut().mark_incomplete();
    assert_eq!(locks(&run(&mut session, &drop)), ["missing AE"]);
}

#[test]
fn an_aborted_transaction_refuses_everything() {
    let mut session = shop();
    run(&mut session, &Statement::BEGIN);
    let missing = session.execute(&alter("shop_order", AlterTableAction::DropDefault { column: Ident::new("x") }));
    assert_eq!(missing.error.expect("no such column").sqlstate, "42703");
    let next = session.execute(&Statement::Select(Query::default()));
    assert_eq!(next.error.expect("aborted").sqlstate, "25P02");
    run(&mut session, &Statement::Rollback { and_chain: false });
    run(&mut session, &Statement::Select(Query::default()));
}
