package admin

// Scopes say on what a caller's right to an operation depends.
const (
	scopeOperator     = "operator"     // for those who run patrol; the default
	scopeOrganization = "organization" // the caller's token has a permission in the organization of the path
	scopeOwn          = "own"          // the owner of the token in question
	scopeSelf         = "self"         // the token in question itself
	scopeAny          = "any"          // whoever has a token that is let through
	scopeIssue        = "issue"        // within the caller's own rights
	scopeCheck        = "check"        // on organizations whose tokens the caller may read
)

// Permissions of the tokens of administrators and reviewers; the rights of the
// bundle say which roles have them.
const (
	tokensRead   = "org.tokens.read"
	tokensReview = "org.tokens.review"
	tokensWrite  = "org.tokens.write"
	orgRead      = "org.read"
	orgWrite     = "org.write"
	scimWrite    = "org.scim.write"
)

// Subjects say whom a change is about: nobody decides on the own.
const (
	subjectNone   = "none"
	subjectToken  = "token"
	subjectMember = "member"
)

// access is what an operation asks of its caller. data.patrol.admin judges by it.
type access struct {
	Scope      string `json:"scope"`
	Permission string `json:"permission,omitempty"` // of scope organization
	Subject    string `json:"subject"`
	// InBody: what is asked stands in the body, so the operation's handler asks
	// the judge (service.judge), once it has read it.
	InBody bool `json:"in_body"`
	// Reads: it changes nothing, though its method is not GET.
	Reads bool `json:"-"`
}

// ProvisionMembers is what a directory does that keeps an organization's members
// (SCIM 2.0). It is no operation of this API, and judged as one; see [Admit].
const ProvisionMembers = "provision-members"

// accesses of the operations by their id. What is not listed is the operator's
// alone.
var accesses = map[string]access{
	"whoami":                      {Scope: scopeAny},
	"list-policies":               {Scope: scopeAny},
	"get-organization":            {Scope: scopeOrganization, Permission: orgRead},
	"get-token-policy":            {Scope: scopeOrganization, Permission: orgRead},
	"set-token-policy":            {Scope: scopeOrganization, Permission: orgWrite},
	"get-organization-usage":      {Scope: scopeOrganization, Permission: tokensRead},
	"preview-token-policy":        {Scope: scopeOrganization, Permission: tokensRead, Reads: true},
	"list-members":                {Scope: scopeOrganization, Permission: tokensRead},
	"get-member":                  {Scope: scopeOrganization, Permission: tokensRead},
	"set-member":                  {Scope: scopeOrganization, Permission: orgWrite, Subject: subjectMember, InBody: true},
	"remove-member":               {Scope: scopeOrganization, Permission: orgWrite, Subject: subjectMember},
	"ask-confirmation":            {Scope: scopeOrganization, Permission: orgWrite, Subject: subjectMember},
	"confirm-member":              {Scope: scopeOperator, Subject: subjectMember},
	ProvisionMembers:              {Scope: scopeOrganization, Permission: scimWrite},
	"list-organization-tokens":    {Scope: scopeOrganization, Permission: tokensRead},
	"get-organization-token":      {Scope: scopeOrganization, Permission: tokensRead},
	"list-approvals":              {Scope: scopeOrganization, Permission: tokensRead},
	"list-organization-audit":     {Scope: scopeOrganization, Permission: tokensRead},
	"approve-token":               {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken},
	"list-approval-groups":        {Scope: scopeOrganization, Permission: tokensRead},
	"comment-request":             {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken},
	"question-request":            {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken},
	"assign-request":              {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken},
	"remind-request":              {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken},
	"escalate-request":            {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken},
	"ask-request":                 {Scope: scopeOwn},
	"answer-request":              {Scope: scopeOwn},
	"withdraw-request":            {Scope: scopeOwn},
	"rotate-token":                {Scope: scopeSelf},
	"change-settings":             {Scope: scopeOrganization, Permission: orgWrite},
	"deny-token":                  {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken},
	"approve-tokens":              {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken, InBody: true},
	"deny-tokens":                 {Scope: scopeOrganization, Permission: tokensReview, Subject: subjectToken, InBody: true},
	"revoke-organization-token":   {Scope: scopeOrganization, Permission: tokensWrite, Subject: subjectToken},
	"suspend-organization-token":  {Scope: scopeOrganization, Permission: tokensWrite, Subject: subjectToken},
	"resume-organization-token":   {Scope: scopeOrganization, Permission: tokensWrite, Subject: subjectToken},
	"revoke-organization-tokens":  {Scope: scopeOrganization, Permission: tokensWrite, Subject: subjectToken, InBody: true},
	"suspend-organization-tokens": {Scope: scopeOrganization, Permission: tokensWrite, Subject: subjectToken, InBody: true},
	"resume-organization-tokens":  {Scope: scopeOrganization, Permission: tokensWrite, Subject: subjectToken, InBody: true},
	"get-token":                   {Scope: scopeOwn},
	"get-token-usage":             {Scope: scopeOwn},
	"get-token-timeline":          {Scope: scopeOwn},
	"list-token-refusals":         {Scope: scopeOwn},

	"get-organization-token-usage":    {Scope: scopeOrganization, Permission: tokensRead},
	"get-organization-token-timeline": {Scope: scopeOrganization, Permission: tokensRead},
	"get-organization-refusal":        {Scope: scopeOrganization, Permission: tokensRead},
	"list-findings":                   {Scope: scopeOrganization, Permission: tokensRead},
	"list-discovered-tokens":          {Scope: scopeOrganization, Permission: tokensRead},

	"issue-token":    {Scope: scopeIssue, InBody: true},
	"check":          {Scope: scopeCheck, InBody: true},
	"find-token":     {Scope: scopeOperator, Reads: true},
	"disable-tokens": {Scope: scopeOperator, Subject: subjectToken, InBody: true},
	"enable-tokens":  {Scope: scopeOperator, Subject: subjectToken, InBody: true},
	"disable-token":  {Scope: scopeOperator, Subject: subjectToken},
	"enable-token":   {Scope: scopeOperator, Subject: subjectToken},
	"update-token":   {Scope: scopeOperator, Subject: subjectToken},
	"delete-token":   {Scope: scopeOperator, Subject: subjectToken},
}

// accessOf is an operation's access.
func accessOf(operation string) access {
	a, ok := accesses[operation]
	if !ok {
		a.Scope = scopeOperator
	}
	if a.Subject == "" {
		a.Subject = subjectNone
	}
	return a
}
