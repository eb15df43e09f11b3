/** The smallest file: page views, own events, consent, delivery. */

import { install } from "./script";

install();
