# METADATA
# title: Tests of the lifetime
package patrol.checks.lifetime_test

import data.patrol.fixtures_test.reason
import data.patrol.fixtures_test.set
import data.patrol.fixtures_test.without

test_too_old if reason([set("/organization/settings/max_token_age_days", 9)]) == "lifetime_exceeded"

test_old_enough if reason([set("/organization/settings/max_token_age_days", 10)]) == "allowed"

test_lives_too_long if reason([set("/organization/settings/max_token_lifetime_days", 9)]) == "lifetime_exceeded"

test_lives_short_enough if reason([set("/organization/settings/max_token_lifetime_days", 10)]) == "allowed"

test_no_end_where_one_is_asked_for if reason([set("/organization/settings/max_token_lifetime_days", 9), without("/token/remaining_seconds")]) == "lifetime_exceeded"
