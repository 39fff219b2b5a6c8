//! The comparison of a prediction with a replay: a perfect prediction is complete, and each kind of error is seen.

use serde_json::{Value, json};
use zdm_testkit::agreement::{Agreement, Prediction, agreement, table};
use zdm_testkit::oracle::Statement;
use zdm_testkit::{DJANGOS, Django, Oracle, OracleReport, Server, cache};

fn shop() -> OracleReport {
    let django = Django::available_for("agreement", &DJANGOS).into_iter().next_back().expect("it panics on none");
    let oracle = Oracle::settings(&cache::workspace().join("fixtures/shop"), "shop.settings");
    oracle.replay(&django, &Server::newest().database())
}

/// What the contract's two commands would print if they were right.
fn perfect(report: &OracleReport) -> (Value, Value) {
    let sql = |statements: &[Statement]| -> Value { statements.iter().map(|s| json!({"sql": s.sql})).collect() };
    let migrations: Vec<Value> = report
        .migrations
        .iter()
        .map(|migration| {
            let operations: Vec<Value> = migration
                .operations
                .iter()
                .map(|operation| {
                    json!({
                        "index": operation.index, "operation": operation.operation, "analysed": true,
                        "statements": sql(&operation.statements), "deferred": sql(&operation.deferred),
                    })
                })
                .collect();
            json!({"app": migration.app, "name": migration.name, "operations": operations})
        })
        .collect();
    let mut models = serde_json::Map::new();
    for (label, model) in &report.models {
        let fields: Vec<Value> = model
            .fields
            .iter()
            .map(|field| {
                let to = field.references.as_ref().map(|to| json!({"table": to.table, "column": to.column}));
                json!({
                    "name": field.name, "column": field.column, "db_type": field.db_type, "null": field.null,
                    "primary_key": field.primary_key, "unique": field.unique, "db_index": field.db_index,
                    "has_db_default": field.has_db_default, "references": to,
                })
            })
            .collect();
        let model = json!({
            "db_table": model.db_table, "managed": model.managed, "proxy": model.proxy, "fields": fields,
            "indexes": model.indexes, "constraints": model.constraints, "unique_together": model.unique_together,
        });
        models.insert(label.clone(), model);
    }
    let mut tables = serde_json::Map::new();
    for (name, table) in &report.tables {
        let columns: Vec<Value> = table
            .columns
            .iter()
            .map(|c| json!({"name": c.name, "type": c.data_type, "null": c.null, "default": c.default}))
            .collect();
        let constraints: Vec<Value> = table
            .constraints
            .iter()
            .map(|c| json!({"name": c.name, "kind": c.kind, "definition": c.definition, "valid": c.valid}))
            .collect();
        let indexes: Vec<Value> = table
            .indexes
            .iter()
            .map(|i| json!({"name": i.name, "definition": i.definition, "unique": i.unique, "valid": i.valid}))
            .collect();
        let table = json!({"columns": columns, "constraints": constraints, "indexes": indexes, "triggers": []});
        tables.insert(name.clone(), table);
    }
    (json!({"migrations": migrations}), json!({"models": models, "tables": tables}))
}

fn compared(report: &OracleReport, sqlmigrate: &Value, state: &Value) -> Agreement {
    agreement("shop", report, Prediction { sqlmigrate, state })
}

#[test]
fn a_perfect_prediction_is_complete_and_every_error_is_seen() {
    let report = shop();
    let (sqlmigrate, state) = perfect(&report);
    let result = compared(&report, &sqlmigrate, &state);
    assert!(result.is_complete(), "{}", result.differences.join("\n"));
    assert_eq!((result.operations, result.statements), report.counts());
    assert_eq!(result.statements_equal, result.statements);
    assert_eq!((result.models_equal, result.tables_equal), (report.models.len(), report.tables.len()));
    assert!(table(std::slice::from_ref(&result)).contains("shop"));

    let place = report.migrations.iter().position(|m| m.app == "customers").expect("the shop has the app");
    let spoil = |change: &dyn Fn(&mut Value, &mut Value)| {
        let (mut sqlmigrate, mut state) = (sqlmigrate.clone(), state.clone());
        change(&mut sqlmigrate["migrations"][place]["operations"][0], &mut state);
        let result = compared(&report, &sqlmigrate, &state);
        assert!(!result.is_complete());
        result
    };
    let wrong = spoil(&|operation, _| operation["statements"][0]["sql"] = "SELECT 1".into());
    assert_eq!((wrong.statements - wrong.statements_equal, wrong.statements_wrong), (1, 1));
    let unknown = spoil(&|operation, _| operation["analysed"] = false.into());
    assert_eq!((unknown.operations - unknown.analysed, unknown.statements_wrong), (1, 0));
    let too_much = spoil(&|operation, _| {
        operation["deferred"].as_array_mut().expect("a list").push(json!({"sql": "SELECT 1"}));
    });
    assert_eq!((too_much.statements - too_much.statements_equal, too_much.statements_wrong), (0, 1));
    let state = spoil(&|_, state| state["models"]["orders.Order"]["fields"][0]["db_type"] = "integer".into());
    assert_eq!(state.models - state.models_equal, 1);
    let catalog = spoil(&|_, state| state["tables"]["orders_order"]["indexes"][0]["valid"] = false.into());
    assert_eq!(catalog.tables - catalog.tables_equal, 1);
    let lost = spoil(&|_, state| drop(state["tables"].as_object_mut().expect("a map").remove("orders_order")));
    assert_eq!(lost.tables - lost.tables_equal, 1);
}
