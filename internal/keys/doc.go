// Package keys is the ring of keys of one issuer: it makes, seals, opens and
// rotates them. A private key leaves only inside the closure of a jose.Signer or
// jose.Decrypter; what is stored is sealed with AES-256-GCM under the key
// encryption key, bound to its issuer and its kid.
//
// A key is published as next before it signs as current, and stays published as
// retired until everything that it signed has expired, so that rotation refuses
// nobody's token.
//
// It refuses rows that were sealed under another key encryption key, moved from
// another row or issuer, or relabelled. The published half of a key is derived
// from the sealed one, never taken from the row beside it: whoever can write rows
// cannot make us vouch for a key of his own.
package keys
