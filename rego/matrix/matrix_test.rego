# METADATA
# title: Every operation, caller and organization
# description: |
#   What data.patrol.admin says to each caller about each operation of the admin
#   API, in two organizations. The questions in data.json are those that patrol
#   itself asked while every operation was called as every caller; the answers
#   are those that the matrix of cmd/patrol expects. They are written anew by
#   PATROL_UPDATE=1 go test ./cmd/patrol -run TestEachCallerMayWhatTheMatrixSays
package patrol.matrix_test

import data.patrol.admin

test_each_caller_hears_what_the_matrix_says[name] if {
	some name, case in data.admin_matrix.cases
	every reason, operations in case.answers {
		every id in operations {
			asked := object.union(case.input, {"operation": data.admin_matrix.operations[id]})
			admin.decision.reason == reason with input as asked
		}
	}
}

test_each_operation_is_asked_about if {
	asked := {id | some case in data.admin_matrix.cases; some ids in case.answers; some id in ids}
	asked == object.keys(data.admin_matrix.operations)
}

test_reasons_and_permission_agree if {
	reasons := {reason | some case in data.admin_matrix.cases; some reason, _ in case.answers}
	"allowed" in reasons
	count(reasons - ({"allowed"} | object.keys(admin.messages))) == 0
}
