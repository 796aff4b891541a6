// Package fapi holds the records that are stored and passed between rooms, the
// errors they speak in, and the limits they obey. It says what a thing is; what
// is done with it lives in a room. It imports nothing of this module.
package fapi
