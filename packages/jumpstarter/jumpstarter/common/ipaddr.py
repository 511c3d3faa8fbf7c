"""Public path of this machine's address; the code lives in `jumpstarter.driver.ipaddr`."""

from jumpstarter.driver.ipaddr import get_ip_address as get_ip_address
from jumpstarter.driver.ipaddr import get_minikube_ip as get_minikube_ip
