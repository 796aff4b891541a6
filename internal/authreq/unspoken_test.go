package authreq_test

import (
	"context"
	"errors"
	"testing"

	"github.com/procura/procura/internal/authreq"
	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/wire"
)

// A client whose object cannot be believed is told in the way that it must be
// able to read: in a JWT when its rules allow code in no other way (JARM §2.1),
// plainly when it never registered code. An object that can be believed decides
// for itself.
func TestWhereErrorsOfBadObjectsGo(t *testing.T) {
	for name, tc := range map[string]struct {
		registered []string
		outside    string
		believed   bool
		want       string
	}{
		"code, broken":                  {[]string{"code"}, "code", false, "query.jwt"},
		"code, never registered":        {[]string{"code id_token"}, "code", false, "query"},
		"hybrid, broken":                {[]string{"code id_token", "code"}, "code id_token", false, "fragment"},
		"code without a mode, believed": {[]string{"code"}, "code", true, "query"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp(t, func(c *fapi.Client) { c.ResponseTypes = tc.registered })
			claims := good()
			claims["response_type"] = tc.outside
			object := b.object(t, claims)
			if !tc.believed {
				object = object[:len(object)-4] + "AAAA"
			}
			_, err := b.validator.ReadFront(context.Background(), b.client, wire.Params{
				"client_id": "tpp", "redirect_uri": redirect, "response_type": tc.outside, "request": object})
			var refusal *authreq.Refusal
			if !errors.As(err, &refusal) || refusal.Return.Mode != tc.want {
				t.Errorf("got %+v, want mode %s", refusal, tc.want)
			}
		})
	}
}
