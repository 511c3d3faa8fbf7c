"""Public path of the program fls; the code lives in `jumpstarter.driver.fls`."""

from jumpstarter.driver.fls import download_fls as download_fls
from jumpstarter.driver.fls import get_fls_binary as get_fls_binary
from jumpstarter.driver.fls import get_fls_github_url as get_fls_github_url
