# METADATA
# title: Preview
# description: >-
#   On what a token is tried when a change of policy is previewed, where neither
#   its usage nor its grants show what it is for.
package patrol.preview

# METADATA
# description: Permissions by a token's kind; those of an overlay's data.local.preview.tried come first.
# entrypoint: true
tried := object.union(usual, data.local.preview.tried) if data.local.preview.tried

else := usual

usual := {
	"read": ["repo.content.read"],
	"write": ["repo.content.read", "repo.write"],
	"fine-grained": ["repo.content.read"],
}
