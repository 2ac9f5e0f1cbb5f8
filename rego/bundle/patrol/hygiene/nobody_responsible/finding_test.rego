package patrol.hygiene.nobody_responsible_test

import data.patrol.hygiene.nobody_responsible
import data.patrol.hygiene_fixtures_test as fixtures

account := fixtures.with_token({"owner": {"name": "ci", "type": "service_account"}})

test_nobody if nobody_responsible.finding == {"owner": "ci"} with input as account

test_an_empty_list if nobody_responsible.finding with input as object.union(account, {"token": {"owner": {"responsible": []}}})

test_somebody if not nobody_responsible.finding with input as object.union(account, {"token": {"owner": {"responsible": ["bob"]}}})

test_a_person_answers_for_itself if not nobody_responsible.finding with input as fixtures.quiet

test_revoked_already if not nobody_responsible.finding with input as object.union(account, {"authorization": {"state": "revoked"}})
