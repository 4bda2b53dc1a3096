// Package busdir keeps the folder of a secure bus: the certificate authority
// of its client certificates, the server's configuration, and an identity for
// each service and each node.
//
//	ca/                        the authority; stays where it is made
//	keys/                      where the server asks for tokens: those that sign; stay, too
//	server/                    for the server's machine: nats-server.conf, tls/
//	servers/<name>/            the same for each server of a cluster
//	identities/planner/        for the planner's: identity.crt, identity.key, ca.crt,
//	                           and identity.creds where the server asks for tokens
//	identities/executor/ ...   the same for executor, operator and auditor
//	identities/nodes/<node>/   the same for each node, named by events.FileName
//
// Each folder can be copied by itself. Keys are written once, 0600, in folders
// of mode 0700, and never again. Certificates are made anew, for the same key,
// when little of their time is left or when they say what is no longer so; so
// are tokens. A token that was revoked is replaced, with its key.
package busdir
