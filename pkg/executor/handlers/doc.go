// Package handlers carries out the five actions of a fleet: it brings agents
// up, hands them credentials, takes nodes out, and switches enforcement.
//
// # What it promises
//
//   - An enrolment succeeds when the node is present and able to sign, an issue
//     when the node has proved the credential, a decommission when its agent
//     was told to stop and its credential no longer counts.
//   - The private key never leaves the node: what comes is a certificate
//     request, and of it only the key is taken.
//   - Strict enforcement is switched on by a fact that holds only if nothing at
//     all was appended since the decision.
//   - The root certificate is on the log before the first credential is issued
//     from it.
//   - A renewal is issued to whoever signs for the credential that the log says
//     is proved, once, and without an action. See Renewer.
//
// # In which order
//
// Enrolling: start the agent (Driver), wait for node.appeared, then issue unless
// the node is able to sign already. Issuing: certificate.requested and its
// answer, credential.issued on the log, credential.delivered until
// credential.proved is on the log. Decommissioning: node.stop-requested, wait
// shortly for the agent to go, Driver.Remove, then credential.revoked and
// node.removed together with the outcome. Renewing: the node's signed request,
// credential.issued on the log, credential.delivered as the answer, and
// credential.confirmed once credential.proved is on the log; the node asks again
// where one of them gets lost.
//
// # What the caller must do
//
// Keep the view running, attest nodes before their agents reach the fleet (the
// built-in issuer trusts whoever serves a node's command subject, which is what
// the permissions of the server are for), and close a Local when it is done.
package handlers
