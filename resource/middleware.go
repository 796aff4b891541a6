package resource

import "net/http"

// Middleware lets only requests with a good token through to next, which finds
// it with FromContext. Wrap it in WithInteractionID where FAPI 1 is spoken.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := RequestFrom(r)
		if err != nil {
			WriteError(w, err)
			return
		}
		t, err := v.Verify(r.Context(), q)
		if err != nil {
			WriteError(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), t)))
	})
}

// RequireScope lets only requests through whose token carries scope; others get
// 403 (FAPI 1 Baseline §6.2.1-5). It stands behind Middleware.
func RequireScope(scope string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, ok := FromContext(r.Context())
		if !ok || !t.HasScope(scope) {
			WriteError(w, InsufficientScope("the access token does not carry the scope", scope))
			return
		}
		next.ServeHTTP(w, r)
	})
}
