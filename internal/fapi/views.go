package fapi

// ConsentView is what the consent page shows: who asks, for what, about which
// accounts and until when. It holds words for the customer, no decisions.
type ConsentView struct {
	Action      string   // where the form posts to: the page's own URL
	Token       string   // against cross-site posts; goes into the hidden field csrf_token
	ClientName  string   // as registered: hostile until escaped
	Permissions []string // codes or words; codes are translated by the page
	Accounts    []Account
	ExpiresAt   string // RFC 3339 or words; "" when access is open-ended
	Locale      string
	Scopes      []string
	Problem     string // "" or why the form is shown again: "no_account"
}
