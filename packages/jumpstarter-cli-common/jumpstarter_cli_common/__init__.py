"""The names that packages with commands of their own import; the code is in `jumpstarter_cli`.

A façade, as `jumpstarter.common` is one for drivers.
"""
