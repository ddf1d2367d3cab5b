"""The ClientApp of Bandung: what a stock `flower-supernode` runs in the courier's place."""

import os
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from bandung.federation.courier.carriage import carry_message, open_carrier
from bandung.federation.courier.config import CONFIG_ENV, load_courier_config

client_app = ClientApp()


@client_app.train()
def carry(message: Message, context: Context) -> Message:
    """Carry one message as the courier does; the configuration is the file that the environment names."""
    del context
    carrier = open_carrier(load_courier_config(Path(os.environ[CONFIG_ENV])))
    try:
        return Message(carry_message(message.content, carrier), reply_to=message)
    finally:
        carrier.close()
