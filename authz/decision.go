package authz

import (
	"net/http"
	"net/url"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

// decision is what the customer posted from the consent page.
type decision struct {
	approved bool
	token    string
	accounts []string
}

// readDecision reads the form; account may repeat, nothing else may.
func readDecision(r *http.Request) (*decision, error) {
	body, err := wire.ReadBody(r)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fapi.InvalidRequest("the form is malformed").Because(err)
	}
	for name, v := range values {
		if len(v) > 1 && name != "account" {
			return nil, fapi.InvalidRequest("a parameter is repeated")
		}
	}
	d := &decision{token: values.Get("csrf_token"), accounts: values["account"]}
	switch values.Get("decision") {
	case "approve":
		d.approved = true
	case "cancel":
	default:
		return nil, fapi.InvalidRequest("the form names no decision")
	}
	return d, nil
}
