#!/bin/sh
# ./deploy.sh RELEASE: the migrations that the running release can live with, the roll-out, the rest.
set -eu
release=$1
cd "$(dirname "$0")"

manifest() { sed "s/RELEASE/$release/" "$1.yaml"; }

job() {
    kubectl delete job "$1" --ignore-not-found --wait
    manifest "$1" | kubectl create -f -
    while :; do
        case " $(kubectl get job "$1" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}') " in
            *" Complete "*) return ;;
            *" Failed "*) kubectl logs "job/$1" >&2; return 1 ;;
        esac
        sleep "${POLL:-2}"
    done
}

job migrate-before
manifest web | kubectl apply -f -
kubectl rollout status deployment/web --timeout=15m
# A pod that ends still answers requests: the old code is gone when its last pod is.
kubectl wait --for=delete pod --selector "app=web,release!=$release" --timeout=15m
job migrate-after
