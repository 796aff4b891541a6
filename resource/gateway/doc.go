// Package gateway stands in front of a bank's APIs: it decides on every request
// by one table (UKOpenBanking) and forwards what is allowed, either itself
// (reverse proxy) or by answering the question of another proxy (/check, for
// nginx auth_request and Envoy ext_authz).
//
// For a path and method the table says which kind of token is needed, for a
// customer or for the application, which scope, which permissions of the consent,
// and whether an account in the path must be among those the customer chose. The
// token itself is verified by package resource. Customer, accounts and
// permissions come from the authorization server, once per grant.
//
// The API behind trusts the headers X-Procura-Client, -Customer, -Accounts,
// -Consent, -Permissions and -Grant; see resource.ReadFacts. Whatever a client sends under such names is
// dropped, in headers and trailers. The API must be reachable through the gateway
// alone.
//
// For nginx the question is asked like this; the facts are then copied into the
// request with auth_request_set and proxy_set_header, all six of them, so that a
// client's own are replaced:
//
//	location = /procura-check {
//	    internal;
//	    proxy_pass https://gateway.internal:9445/check;
//	    proxy_pass_request_body off;
//	    proxy_set_header Content-Length "";
//	    proxy_set_header X-Original-Method $request_method;
//	    proxy_set_header X-Original-URI $request_uri;
//	    proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
//	    proxy_ssl_certificate /etc/nginx/proxy.pem;
//	    proxy_ssl_certificate_key /etc/nginx/proxy.key;
//	}
//
// Refused: paths and methods that are not in the table, tokens of the wrong kind,
// connection upgrades, bodies above the limit. The PSD2 role of the client has
// its column in the table and is not asked for yet.
package gateway
