// Package interop holds no code: its tests run clients that nobody here wrote
// against a whole sandbox. openid-client, in a process of Node.js with all its own
// validation switched on, is the third party provider; the test is its customer
// and drives the login and consent pages. The packages are pinned by a lock file
// in testdata; without Node.js or without them the tests are skipped, and with
// CI=true they fail with what to type.
package interop
