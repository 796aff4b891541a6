package engine

import (
	"errors"
	"fmt"

	"github.com/ory/fosite"

	"github.com/procura/procura/internal/fapi"
)

// outwardCodes is the one table from fosite's error codes to ours. What is not
// in it is server_error: our checks come first, so that fosite has nothing left
// to refuse but what is listed here.
var outwardCodes = map[string]func() *fapi.Error{
	fosite.ErrInvalidGrant.ErrorField: func() *fapi.Error {
		return fapi.InvalidGrant("the code or token is not valid for this client and redirect_uri")
	},
	fosite.ErrUnauthorizedClient.ErrorField: func() *fapi.Error {
		return fapi.UnauthorizedClient("the client is not registered for this grant type")
	},
	fosite.ErrInvalidScope.ErrorField: func() *fapi.Error {
		return fapi.InvalidScope("the client is not registered for a requested scope")
	},
	fosite.ErrUnsupportedResponseType.ErrorField: func() *fapi.Error {
		return fapi.NewError("unsupported_response_type", "the client is not registered for this response_type")
	},
	fosite.ErrInvalidRequest.ErrorField: func() *fapi.Error {
		return fapi.InvalidRequest("the request is not complete")
	},
	// The HMAC of a code or token that we did not make.
	fosite.ErrTokenSignatureMismatch.ErrorField: func() *fapi.Error {
		return fapi.InvalidGrant("the code or token is not valid for this client and redirect_uri")
	},
}

// outward maps an error of fosite to one of ours, with the original as cause.
func outward(err error) error {
	var e *fosite.RFC6749Error
	if !errors.As(err, &e) {
		return fmt.Errorf("running fosite: %w", err)
	}
	cause := fmt.Errorf("fosite: %s %s: %w", e.ErrorField, e.Reason(), errors.Join(e.Cause(), errors.New(e.DebugField)))
	if make, ok := outwardCodes[e.ErrorField]; ok {
		return make().Because(cause)
	}
	return cause
}
