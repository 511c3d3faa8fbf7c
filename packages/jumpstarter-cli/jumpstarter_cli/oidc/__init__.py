"""Tokens from an identity provider that speaks OpenID Connect: how a user logs in to a lab.

Only the standard library is used: what is needed is a handful of forms that are sent over HTTPS. A
token is not verified here; that is for the controller, to which it is sent.
"""
