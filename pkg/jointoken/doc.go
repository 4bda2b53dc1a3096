// Package jointoken lets a node join that has nothing yet to show who it is: a
// person makes a token for it, and the node shows that token once.
//
// It promises: a token admits one node with one key. The first verification
// binds it to the fingerprint of the key that the credential would be for; by a
// compare-and-set, so that of two verifications with different keys one is
// refused, wherever they run. The same key may show it again, for an issue that
// was interrupted or a credential that is issued anew, until the token is
// revoked or its node decommissioned. Unspent, it ends at its time.
//
// Only the hash of a token is stored. No error and no Record holds one; who has
// made it sees it once. Tokens have 130 random bits, and begin with Prefix, so
// that programs that look for leaked secrets can find them.
//
// The caller hands over the clock, and stores nothing of the token but what the
// node needs.
package jointoken
