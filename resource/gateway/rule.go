package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Kind is for whom a token must speak.
type Kind int

// Kinds of tokens.
const (
	Application Kind = iota + 1 // client credentials: the TPP itself
	User                        // a customer who consented
)

// Target is who serves an allowed request.
type Target int

// Targets.
const (
	Bank                Target = iota + 1 // the API behind the gateway
	AuthorizationServer                   // its consent API, on behalf of the TPP
)

// PSD2 roles of a client (RTS Art. 34).
const (
	RoleAISP  = "AISP"
	RolePISP  = "PISP"
	RoleCBPII = "CBPII"
)

// Rule is what one path and method need. Path is exact but for segments in
// braces: {version} stands for v3.1 or v4.0, any other name for one identifier.
type Rule struct {
	Method string
	Path   string
	Kind   Kind
	Scope  string
	// Role is the PSD2 role that the client will need. Not asked yet.
	Role string
	// Permissions of which the consent must hold one; empty asks for no consent.
	Permissions []string
	// Account demands that the account in the path, {AccountId}, was chosen.
	Account bool
	Target  Target
}

// Paths of the UK Open Banking read API.
const (
	aisp     = "/open-banking/{version}/aisp"
	consents = aisp + "/account-access-consents"
	accounts = aisp + "/accounts"
)

// readAccounts: Detail covers Basic.
func readAccounts() []string { return []string{"ReadAccountsBasic", "ReadAccountsDetail"} }

func readBalances() []string { return []string{"ReadBalances"} }

// UKOpenBanking is the table for UK Open Banking 3.1 and 4.0, as far as the APIs
// are built.
func UKOpenBanking() []Rule {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []Rule{
		{post, consents, Application, "accounts", RoleAISP, nil, false, AuthorizationServer},
		{get, consents + "/{ConsentId}", Application, "accounts", RoleAISP, nil, false, AuthorizationServer},
		{del, consents + "/{ConsentId}", Application, "accounts", RoleAISP, nil, false, AuthorizationServer},
		{get, accounts, User, "accounts", RoleAISP, readAccounts(), false, Bank},
		{get, accounts + "/{AccountId}", User, "accounts", RoleAISP, readAccounts(), true, Bank},
		{get, accounts + "/{AccountId}/balances", User, "accounts", RoleAISP, readBalances(), true, Bank},
		{get, aisp + "/balances", User, "accounts", RoleAISP, readBalances(), false, Bank},
	}
}

// accountParam is the path segment that Rule.Account speaks of.
const accountParam = "{AccountId}"

func (r *Rule) validate() error {
	switch {
	case r.Method == "" || !strings.HasPrefix(r.Path, "/"):
		return errors.New("method or path is missing")
	case r.Kind != Application && r.Kind != User:
		return errors.New("the kind of token is missing")
	case r.Scope == "" || r.Role == "":
		return errors.New("scope or role is missing")
	case r.Target != Bank && r.Target != AuthorizationServer:
		return errors.New("the target is missing")
	case r.Kind == Application && (len(r.Permissions) > 0 || r.Account):
		return errors.New("an application has no consent")
	case r.Account && !slices.Contains(strings.Split(r.Path, "/"), accountParam):
		return fmt.Errorf("the path has no %s", accountParam)
	}
	return nil
}

// versions are the API versions that {version} stands for.
func isVersion(s string) bool { return s == "v3.1" || s == "v4.0" }

// maxIdentifier bounds {AccountId} and {ConsentId}: 128 characters in UK Open
// Banking.
const maxIdentifier = 128

// isSegment accepts unreserved characters alone (RFC 3986 §2.3): a path with
// percent-encoding, dots or empty segments means one thing here and another
// behind.
func isSegment(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > maxIdentifier {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// match returns the rule for method and escaped path, with the account that the
// path names. No rule for the path is 404; rules, but none for the method, is 405
// with the methods there are.
func match(rules []Rule, method, path string) (rule *Rule, account string, allowed []string) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if !strings.HasPrefix(path, "/") || slices.ContainsFunc(segments, func(s string) bool { return !isSegment(s) }) {
		return nil, "", nil
	}
	for i := range rules {
		id, ok := rules[i].fits(segments)
		if !ok {
			continue
		}
		if rules[i].Method == method {
			return &rules[i], id, nil
		}
		allowed = append(allowed, rules[i].Method)
	}
	return nil, "", allowed
}

func (r *Rule) fits(segments []string) (account string, ok bool) {
	pattern := strings.Split(strings.TrimPrefix(r.Path, "/"), "/")
	if len(pattern) != len(segments) {
		return "", false
	}
	for i, p := range pattern {
		switch {
		case p == "{version}" && isVersion(segments[i]):
		case p == "{version}":
			return "", false
		case p == accountParam:
			account = segments[i]
		case !strings.HasPrefix(p, "{") && p != segments[i]:
			return "", false
		}
	}
	return account, true
}
