// Package attack has tests in which somebody tries to get a credential, or to
// count as able to sign, who should not: on a real server, against the real
// planner, executor and agents.
//
// Each attack is a row with the reason that 'fleetfold log' must show for it.
// What only one package decides is tested there: the forms of certificates in
// pkg/identity, the forms of evidence in pkg/attest. What does not even fit is in
// internal/poison.
package attack
