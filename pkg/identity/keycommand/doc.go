// Package keycommand signs with a key that it never sees: a program holds it,
// such as the client of a hardware module.
//
// The program is called in two ways, with its own arguments before:
//
//	PROGRAM public-key    prints the public key as PEM "PUBLIC KEY", ECDSA P-256
//	PROGRAM sign          reads the SHA-256 digest on standard input, in hex and
//	                      a new line, and prints the signature, ASN.1 DER in base64
//
// It ends with 0, within the time limit. Anything else is an error, and what it
// says on standard error is part of it. Each signature is checked before it is
// handed on, so that a program whose key was changed is noticed at once.
//
// The caller chooses the program, which runs with the rights and the
// environment of the caller.
package keycommand
