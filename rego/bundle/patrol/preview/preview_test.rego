package patrol.preview_test

import data.patrol.preview

test_each_kind_is_tried_on_something if {
	every kind in ["read", "write", "fine-grained"] {
		count(preview.tried[kind]) > 0
	}
}

test_an_unscoped_token_is_tried_on_what_its_kind_may_do if {
	every kind in ["read", "write"] {
		every permission in preview.tried[kind] {
			permission in data.patrol.rights.kinds[kind]
		}
	}
}

test_an_overlay_says_otherwise if {
	preview.tried.read == ["collection.read"] with data.local.preview.tried as {"read": ["collection.read"]}
	preview.tried.write == ["repo.content.read", "repo.write"] with data.local.preview.tried as {"read": ["collection.read"]}
}
