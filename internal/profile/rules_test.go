package profile_test

import (
	"slices"
	"testing"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/profile"
)

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name   string
		client fapi.Client
		ok     bool
	}{
		{"private_key_jwt", fapi.Client{Profile: "fapi1-advanced", AuthMethod: "private_key_jwt"}, true},
		{"tls_client_auth", fapi.Client{Profile: "fapi1-advanced", AuthMethod: "tls_client_auth"}, true},
		{"uk", fapi.Client{Profile: "fapi1-advanced", AuthMethod: "tls_client_auth", Ecosystem: "uk-ob"}, true},
		{"secret, FAPI1A 5.2.2-14", fapi.Client{Profile: "fapi1-advanced", AuthMethod: "client_secret_basic"}, false},
		{"none, FAPI1A 5.2.2-16", fapi.Client{Profile: "fapi1-advanced", AuthMethod: "none"}, false},
		{"no profile", fapi.Client{AuthMethod: "private_key_jwt"}, false},
		{"unknown profile", fapi.Client{Profile: "fapi9", AuthMethod: "private_key_jwt"}, false},
		{"unknown ecosystem", fapi.Client{Profile: "fapi1-advanced", AuthMethod: "private_key_jwt", Ecosystem: "mars"}, false},
	} {
		if _, err := profile.Resolve(&c.client); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFAPI1AdvancedIsStrict(t *testing.T) {
	r, err := profile.Resolve(&fapi.Client{Profile: "fapi1-advanced", AuthMethod: "private_key_jwt"})
	if err != nil {
		t.Fatal(err)
	}
	if !r.RequestObjectRequired || !r.ObjectTimes || !r.PKCEWithPAR || !r.CertificateBound || r.RotateRefresh {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"none", "RS256", "HS256"} {
		if slices.Contains(r.SigningAlgs, bad) {
			t.Errorf("%s is accepted (FAPI 1 Advanced 8.6)", bad)
		}
	}
	if slices.Contains(r.KeyEncryptionAlgs, "RSA1_5") {
		t.Error("RSA1_5 is accepted (FAPI 1 Advanced 8.6.1)")
	}
}
