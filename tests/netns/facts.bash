# SPDX-License-Identifier: Apache-2.0
# What facts.bats and facts_more.bats ask a document ($doc) by.
# shellcheck shell=bash disable=SC2154 # doc is the file's

# value FILTER
value() {
    jq -r "$1" "$doc"
}

same() {
    [ "$1" = "$2" ] || {
        echo "'$1' is not '$2'" >&2
        return 1
    }
}
