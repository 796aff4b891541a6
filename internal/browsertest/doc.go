// Package browsertest holds no code: its tests lead a real Chromium through the
// pages that a customer sees, from a third party's request through the bank's
// login and the consent page back to the third party. They find what no other
// client can: a content security policy that stops the redirect chain, a cookie
// that does not arrive, a page that can be framed or does not fit on a phone.
// Without Chromium they are skipped, and with CI=true they fail with what to type.
// go test -artifacts keeps the screenshots.
package browsertest
